/**
 * Registers an element once. A page that loads two builds of Tabmesh keeps the first instead of failing:
 * `customElements.define` throws on a name that is taken.
 */
export function define(name: string, element: CustomElementConstructor): void {
	if (customElements.get(name) === undefined) customElements.define(name, element);
}
