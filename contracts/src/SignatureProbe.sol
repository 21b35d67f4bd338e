// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

/// @title Asks a contract wallet whether a signature is its own (ERC-1271, ERC-6492)
/// @notice Never deployed. A reader sends it as the creation code of an `eth_call`: its constructor runs, and what it
/// would leave behind as code is the answer, `abi.encode(bool isValid, uint256 chainId)`.
///
/// The wallet is a stranger. Whether it reverts, burns its gas or returns megabytes, the answer is a plain "no", so that
/// an error of the `eth_call` can only mean that the chain itself gave none. Everything is read in one block.
contract SignatureProbe {
    /// Twice what a passkey costs that is verified in Solidity; a Safe with ten owners needs a tenth of it.
    uint256 private constant WALLET_GAS = 3_000_000;
    /// A wallet's own code may have 24 KB, at 200 gas a byte.
    uint256 private constant FACTORY_GAS = 6_000_000;

    /// @param factory what makes the wallet where it is not there yet (ERC-6492), else zero
    /// @param factoryData what the factory is called with
    constructor(address wallet, bytes32 hash, bytes memory signature, address factory, bytes memory factoryData) {
        // Only where nothing stands: else anybody could first bring a wallet into a state that suits him.
        if (wallet.code.length == 0 && factory != address(0)) {
            assembly ("memory-safe") {
                pop(call(FACTORY_GAS, factory, 0, add(factoryData, 32), mload(factoryData), 0, 0))
            }
        }
        bytes memory question = abi.encodeCall(IERC1271.isValidSignature, (hash, signature));
        bytes32 magic = bytes32(IERC1271.isValidSignature.selector);
        assembly ("memory-safe") {
            mstore(0, 0)
            // Out of what is returned, 32 bytes are looked at and no more are paid for.
            let answered := staticcall(WALLET_GAS, wallet, add(question, 32), mload(question), 0, 32)
            mstore(0, and(and(answered, gt(returndatasize(), 31)), eq(mload(0), magic)))
            mstore(32, chainid())
            return(0, 64)
        }
    }
}
