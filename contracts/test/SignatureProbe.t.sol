// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SignatureProbe} from "../src/SignatureProbe.sol";
import {BurningWallet, CurtWallet, FloodingWallet, RevertingWallet, WritingWallet} from "./wallets/HostileWallets.sol";
import {OwnedWallet, WalletFactory} from "./wallets/OwnedWallet.sol";
import {vm} from "./Vm.sol";

/// @title Owns a wallet that anybody may take
contract Giver {
    function give(OwnedWallet wallet, address to) external {
        wallet.handOver(to);
    }
}

contract SignatureProbeTest {
    bytes32 private constant HASH = keccak256("what was signed");
    uint256 private constant OWNER = 0xa11ce;

    function sign(uint256 key, bytes32 hash) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, hash);
        return abi.encodePacked(r, s, v);
    }

    /// What an `eth_call` without a recipient does: a creation that leaves what the constructor returned, and no trace.
    function probe(address wallet, bytes32 hash, bytes memory signature, address factory, bytes memory data)
        private
        returns (bool isValid)
    {
        bytes memory creation = abi.encodePacked(
            type(SignatureProbe).creationCode, abi.encode(wallet, hash, signature, factory, data)
        );
        uint256 before = vm.snapshotState();
        address answer;
        assembly {
            answer := create(0, add(creation, 32), mload(creation))
        }
        require(answer != address(0), "the probe itself must never fail");
        uint256 chainId;
        (isValid, chainId) = abi.decode(answer.code, (bool, uint256));
        vm.revertToState(before);
        require(chainId == block.chainid, "the answer names its chain");
    }

    function probe(address wallet, bytes32 hash, bytes memory signature) private returns (bool) {
        return probe(wallet, hash, signature, address(0), "");
    }

    function testOnlyTheOwnersSignatureOverThisHashHolds(uint128 key, bytes32 hash) external {
        uint256 stranger = uint256(key) + 1;
        address wallet = address(new OwnedWallet(vm.addr(OWNER)));
        require(probe(wallet, hash, sign(OWNER, hash)), "the owner's");
        require(stranger == OWNER || !probe(wallet, hash, sign(stranger, hash)), "a stranger's");
        require(!probe(wallet, keccak256(abi.encode(hash)), sign(OWNER, hash)), "over another hash");
        require(!probe(wallet, hash, ""), "none");
    }

    function testAnOldOwnersSignatureHoldsNoMore() external {
        OwnedWallet wallet = new OwnedWallet(vm.addr(OWNER));
        require(probe(address(wallet), HASH, sign(OWNER, HASH)));
        vm.prank(vm.addr(OWNER));
        wallet.handOver(address(1));
        require(!probe(address(wallet), HASH, sign(OWNER, HASH)));
    }

    function testAWalletThatIsNotThereYetIsMadeByItsFactory() external {
        WalletFactory factory = new WalletFactory();
        bytes32 salt = keccak256("salt");
        bytes memory creation = abi.encodePacked(type(OwnedWallet).creationCode, abi.encode(vm.addr(OWNER)));
        address wallet = address(
            uint160(uint256(keccak256(abi.encodePacked(bytes1(0xff), address(factory), salt, keccak256(creation)))))
        );
        bytes memory data = abi.encodeCall(WalletFactory.make, (vm.addr(OWNER), salt));
        require(!probe(wallet, HASH, sign(OWNER, HASH)), "nothing stands there");
        require(!probe(wallet, HASH, sign(0xb0b, HASH), address(factory), data), "a stranger's");
        require(!probe(wallet, HASH, sign(OWNER, HASH), address(factory), ""), "a factory that makes nothing");
        require(!probe(address(0xdead), HASH, sign(OWNER, HASH), address(factory), data), "another's address");
        require(probe(wallet, HASH, sign(OWNER, HASH), address(factory), data), "made for the question");
    }

    function testAFactoryIsNotCalledWhereAWalletStands() external {
        Giver giver = new Giver();
        OwnedWallet wallet = new OwnedWallet(address(giver));
        bytes memory data = abi.encodeCall(Giver.give, (wallet, vm.addr(OWNER)));
        require(!probe(address(wallet), HASH, sign(OWNER, HASH), address(giver), data));
    }

    function testHostileWalletsSayNo() external {
        address[5] memory wallets = [
            address(new RevertingWallet()),
            address(new BurningWallet()),
            address(new FloodingWallet()),
            address(new CurtWallet()),
            address(new WritingWallet())
        ];
        for (uint256 i = 0; i < wallets.length; i++) {
            require(!probe(wallets[i], HASH, sign(OWNER, HASH)));
        }
        require(!probe(vm.addr(OWNER), HASH, sign(OWNER, HASH)), "a key is no contract");
        require(!probe(address(1), HASH, sign(OWNER, HASH)), "nor is a precompile");
    }

    function testTheAnswerNamesTheChain(uint32 id) external {
        vm.chainId(uint256(id) + 1);
        probe(address(new OwnedWallet(vm.addr(OWNER))), HASH, "");
    }
}
