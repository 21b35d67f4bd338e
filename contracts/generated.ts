import { readFile } from "node:fs/promises";
import { forge } from "./forge.ts";

/** What of a compiled contract goes where. */
const files = [
	{
		path: "../packages/ledger/src/signatureProbeCode.ts",
		contracts: [["SignatureProbe.sol", "SignatureProbe", "signatureProbeCode"]],
	},
	{
		path: "../packages/ledger/src/wallets.fixture.ts",
		contracts: [
			["OwnedWallet.sol", "OwnedWallet", "ownedWalletCode"],
			["OwnedWallet.sol", "WalletFactory", "walletFactoryCode"],
			["HostileWallets.sol", "RevertingWallet", "revertingWalletCode"],
			["HostileWallets.sol", "BurningWallet", "burningWalletCode"],
			["HostileWallets.sol", "FloodingWallet", "floodingWalletCode"],
		],
	},
] as const;

/** The files of other rooms that carry compiled contracts, as the sources make them. */
export async function generated(): Promise<{ file: URL; text: string }[]> {
	await forge("build");
	return Promise.all(
		files.map(async ({ path, contracts }) => {
			const blocks = contracts.map(async ([source, contract, name]) => {
				const artifact = await readFile(new URL(`out/${source}/${contract}.json`, import.meta.url), "utf8");
				const { bytecode } = JSON.parse(artifact) as { bytecode: { object: string } };
				return `/** Creation code of ${contract}, contracts/…/${source}. */\nexport const ${name} =\n\t"${bytecode.object}";\n`;
			});
			const text = ["// Made by `npm run generate -w @tabmesh/contracts`.\n", ...(await Promise.all(blocks))];
			return { file: new URL(path, import.meta.url), text: text.join("\n") };
		}),
	);
}
