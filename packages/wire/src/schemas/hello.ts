import * as v from "valibot";
import { UnsupportedVersionError } from "../errors/index.ts";

/** The protocol generations that this build speaks. Majors N and N−1 work together. */
export const protocolVersion = { major: 1, minor: 0, oldestMajor: 1 } as const;

/** `/tabmesh/<name>/<major>` */
export function protocolId(name: string, major: number = protocolVersion.major): string {
	return `/tabmesh/${name}/${major}`;
}

const versionSchema = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535));

/** First message in both directions on a connection: what each side speaks and can do. */
export const helloSchema = v.strictObject({
	/** Oldest and newest major version spoken. */
	majors: v.pipe(
		v.strictTuple([versionSchema, versionSchema]),
		v.check(([oldest, newest]) => oldest <= newest, "an ordered range"),
	),
	minor: versionSchema,
	/** Optional abilities by name; unknown ones are ignored. */
	features: v.pipe(v.array(v.pipe(v.string(), v.maxLength(32))), v.maxLength(32)),
	/** Program and version, for people and logs only. */
	agent: v.pipe(v.string(), v.maxLength(64)),
});
export type Hello = v.InferOutput<typeof helloSchema>;

/** What two peers agreed on. */
export interface Agreement {
	major: number;
	/** The lower of both minors if both speak the same newest major, else 0: minors only add. */
	minor: number;
	/** Features that both have. */
	features: string[];
}

/**
 * The newest version that both sides speak, and the features that both have.
 *
 * @throws UnsupportedVersionError when their ranges of majors do not meet
 */
export function negotiate(ours: Hello, theirs: Hello): Agreement {
	const major = Math.min(ours.majors[1], theirs.majors[1]);
	if (major < ours.majors[0] || major < theirs.majors[0]) {
		throw new UnsupportedVersionError(
			`This peer speaks protocol ${ours.majors.join(" to ")}, the other one ${theirs.majors.join(" to ")}.`,
			{
				metaMessages: ["Update the older of the two."],
				details: { ours: ours.majors[1], theirs: theirs.majors[1] },
			},
		);
	}
	const minor = ours.majors[1] === theirs.majors[1] ? Math.min(ours.minor, theirs.minor) : 0;
	return { major, minor, features: ours.features.filter((feature) => theirs.features.includes(feature)) };
}
