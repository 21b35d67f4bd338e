import { describe, expect, test } from "vitest";
import { budgetChoices } from "./budget.ts";

describe("the budgets that a person may choose", () => {
	test("are round sizes up to what the browser gives, with the present one among them", () => {
		expect(budgetChoices(2_147_483_648, 10e9)).toEqual([100e6, 250e6, 500e6, 1e9, 2_147_483_648, 4e9, 8e9]);
		expect(budgetChoices(1e9, undefined)).toEqual([100e6, 250e6, 500e6, 1e9, 2e9, 4e9, 8e9]);
	});

	test("contain the present one although it is more than the browser gives, or nothing", () => {
		expect(budgetChoices(5e9, 300e6)).toEqual([100e6, 250e6, 5e9]);
		expect(budgetChoices(0, 50e6)).toEqual([0]);
	});
});
