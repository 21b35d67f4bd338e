/**
 * Answers that are held to a form: a JSON Schema becomes a grammar, and the grammar tells which tokens of a vocabulary may come next.
 * A face of its own, loaded when somebody asks for it.
 *
 * It never draws a token, and does no more work for one than its limits say, whatever a stranger's schema is.
 */
export { ConstraintVocabulary } from "./constraintVocabulary.ts";
export type { Match } from "./matcher.ts";
export { TokenConstraint } from "./tokenConstraint.ts";
