import type { EIP1193Provider } from "viem";
import { type Hex, hexToNumber, hexToString } from "viem";
import { privateKeyToAccount } from "viem/accounts";

/** An EIP-1193 provider around a real key, which does what its owner is told to do and counts the windows it opens. */
export function createTestProvider(key: Hex, chainId = 1) {
	const account = privateKeyToAccount(key);
	const state = { chainId, connected: false, reject: false, windows: 0, answer: undefined as unknown };
	const window = () => {
		state.windows++;
		if (state.reject) throw Object.assign(new Error("User rejected"), { code: 4001 });
	};
	const request = async ({ method, params }: { method: string; params?: unknown }): Promise<unknown> => {
		const [first, second] = (params ?? []) as [never, never];
		switch (method) {
			case "eth_accounts":
				return state.connected ? [account.address.toLowerCase()] : [];
			case "eth_requestAccounts":
				window();
				state.connected = true;
				return [account.address.toLowerCase()];
			case "eth_chainId":
				return `0x${state.chainId.toString(16)}`;
			case "wallet_switchEthereumChain": {
				const wanted = hexToNumber((first as { chainId: Hex }).chainId);
				if (wanted === 999) throw Object.assign(new Error("Unrecognized chain"), { code: 4902 });
				window();
				state.chainId = wanted;
				return null;
			}
			case "personal_sign":
				window();
				return state.answer ?? account.signMessage({ message: hexToString(first) });
			case "eth_signTypedData_v4": {
				window();
				const typed = JSON.parse(second) as Parameters<typeof account.signTypedData>[0];
				if (Number(typed.domain?.chainId) !== state.chainId) {
					throw Object.assign(new Error("Provided chainId must match the active chainId"), { code: -32603 });
				}
				return state.answer ?? account.signTypedData(typed);
			}
			default:
				throw Object.assign(new Error(`unsupported ${method}`), { code: 4200 });
		}
	};
	return {
		account,
		state,
		provider: { request, on() {}, removeListener() {} } as unknown as EIP1193Provider,
	};
}
