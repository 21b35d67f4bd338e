// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

/// @title Reverts with the very word that means yes
contract RevertingWallet {
    fallback() external {
        bytes32 magic = bytes32(IERC1271.isValidSignature.selector);
        assembly {
            mstore(0, magic)
            revert(0, 32)
        }
    }
}

/// @title Burns all gas that it gets
contract BurningWallet {
    fallback() external {
        while (true) {}
    }
}

/// @title Returns as much as its gas pays for, the word that means yes nowhere in it
contract FloodingWallet {
    fallback() external {
        assembly {
            return(0, 1000000)
        }
    }
}

/// @title Returns a bare selector of 4 bytes, which is no ABI-encoded answer
contract CurtWallet {
    fallback() external {
        bytes32 magic = bytes32(IERC1271.isValidSignature.selector);
        assembly {
            mstore(0, magic)
            return(0, 4)
        }
    }
}

/// @title Says yes and tries to write while it does
contract WritingWallet {
    uint256 public asked;

    function isValidSignature(bytes32, bytes calldata) external returns (bytes4) {
        asked++;
        return IERC1271.isValidSignature.selector;
    }
}
