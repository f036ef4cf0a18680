//! Arbitrary values of every wire type, in the one form that decoding gives.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses another part")]

use std::net::{IpAddr, SocketAddr};

use dashcore::blockdata::transaction::special_transaction::coinbase::{BestChainLock, CoinbasePayload};
use dashcore::blockdata::transaction::special_transaction::quorum_commitment::QuorumEntry;
use dashcore::blockdata::transaction::{OutPoint, Transaction, TxIn, TxOut};
use dashcore::bls_sig_utils::{BLSPublicKey, BLSSignature};
use dashcore::ephemerealdata::chain_lock::ChainLock;
use dashcore::ephemerealdata::instant_lock::InstantLock;
use dashcore::hash_types::{
    ConfirmedHash, MerkleRootAssetUnlocks, MerkleRootMasternodeList, MerkleRootQuorums, PubkeyHash,
    QuorumVVecHash, TxMerkleNode,
};
use dashcore::network::message::NetworkMessage;
use dashcore::network::message_addrv2::{AddrV2, AddrV2Message};
use dashcore::network::message_blockdata::{GetHeadersMessage, HeadersMessage, Inventory};
use dashcore::network::message_headers2::Headers2Message;
use dashcore::network::message_network::{Address, TimedAddress, VersionMessage};
use dashcore::network::message_qrinfo::{GetQRInfo, MNSkipListMode, QRInfo, QuorumSnapshot};
use dashcore::network::message_sml::{DeletedQuorum, GetMnListDiff, MnListDiff, QuorumCLSigObject};
use dashcore::sml::address::{ExtendedNetInfo, NetInfoEntry, NetInfoPurpose, ServiceAddress};
use dashcore::sml::llmq_type::LLMQType;
use dashcore::sml::masternode_list_entry::{EntryMasternodeType, MasternodeListEntry};
use dashcore::{BitSet, BlockHash, Header, ProTxHash, QuorumHash, Txid};
use proptest::array::{uniform20, uniform32};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::subsequence;

macro_rules! hash_strategies {
    ($($name:ident: $hash:ident),+ $(,)?) => {
        $(fn $name() -> impl Strategy<Value = $hash> {
            uniform32(any::<u8>()).prop_map($hash::from_byte_array)
        })+
    };
}

hash_strategies! {
    block_hash: BlockHash, txid: Txid, merkle_node: TxMerkleNode, pro_tx_hash: ProTxHash,
    confirmed_hash: ConfirmedHash, quorum_hash: QuorumHash, vvec_hash: QuorumVVecHash,
    list_root: MerkleRootMasternodeList, quorum_root: MerkleRootQuorums,
}

fn pubkey_hash() -> impl Strategy<Value = PubkeyHash> {
    uniform20(any::<u8>()).prop_map(PubkeyHash::from_byte_array)
}

fn public_key() -> impl Strategy<Value = BLSPublicKey> {
    vec(any::<u8>(), 48).prop_map(|bytes| BLSPublicKey::from_bytes(bytes.try_into().unwrap()))
}

fn signature() -> impl Strategy<Value = BLSSignature> {
    vec(any::<u8>(), 96).prop_map(|bytes| BLSSignature::from_bytes(bytes.try_into().unwrap()))
}

fn bits() -> impl Strategy<Value = BitSet> {
    vec(any::<bool>(), 0..70).prop_map(|bits| bits.into_iter().collect())
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![9 => vec(any::<u8>(), 0..20), 1 => vec(any::<u8>(), 250..260)]
}

fn socket_addr() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip.to_canonical(), port))
}

pub fn header() -> impl Strategy<Value = Header> {
    (any::<i32>(), block_hash(), merkle_node(), any::<[u32; 3]>()).prop_map(
        |(version, prev_blockhash, merkle_root, [time, bits, nonce])| Header {
            version,
            prev_blockhash,
            merkle_root,
            time,
            bits,
            nonce,
        },
    )
}

pub fn transaction() -> impl Strategy<Value = Transaction> {
    let input =
        (txid(), any::<u32>(), bytes(), any::<u32>()).prop_map(|(txid, vout, script_sig, sequence)| TxIn {
            previous_output: OutPoint { txid, vout },
            script_sig,
            sequence,
        });
    let output = (any::<i64>(), bytes()).prop_map(|(value, script_pubkey)| TxOut { value, script_pubkey });
    (0..5_u16, 0..7_u16, vec(input, 0..3), vec(output, 0..3), any::<u32>(), bytes()).prop_map(
        |(version, tx_type, input, output, lock_time, extra_payload)| {
            let special = version >= 3 && tx_type != 0;
            let extra_payload = if special { extra_payload } else { Vec::new() };
            Transaction { version, tx_type, input, output, lock_time, extra_payload }
        },
    )
}

pub fn coinbase_payload() -> impl Strategy<Value = CoinbasePayload> {
    let chain_lock =
        (any::<u64>(), signature(), any::<i64>()).prop_map(|(diff, best_cl_signature, amount)| {
            BestChainLock { best_cl_height_diff: diff, best_cl_signature, asset_locked_amount: amount }
        });
    let appended = (any::<[u8; 32]>(), vec(any::<u8>(), 0..80));
    (1..=6_u16, any::<i32>(), list_root(), quorum_root(), chain_lock, appended).prop_map(
        |(version, height, merkle_root_masternode_list, quorum_root, chain_lock, (unlocks, unknown))| {
            CoinbasePayload {
                version,
                height,
                merkle_root_masternode_list,
                merkle_root_quorums: (version >= 2).then_some(quorum_root),
                chain_lock: (version >= 3).then_some(chain_lock),
                merkle_root_asset_unlocks: (version == 4)
                    .then(|| MerkleRootAssetUnlocks::from_byte_array(unlocks)),
                unknown: if version > 4 { unknown } else { Vec::new() },
            }
        },
    )
}

fn net_info_entry() -> impl Strategy<Value = NetInfoEntry> {
    let service = (subsequence(vec![(1_u8, 4), (2, 16), (4, 32), (5, 32), (6, 16)], 1), any::<u16>())
        .prop_flat_map(|(kind, port)| {
            let (network, size) = kind[0];
            vec(any::<u8>(), size).prop_map(move |address| NetInfoEntry::Service { network, address, port })
        });
    let domain =
        ("[a-z0-9.-]{0,20}", any::<u16>()).prop_map(|(name, port)| NetInfoEntry::Domain { name, port });
    // A BIP155 network that is none yet, with an address as long as it likes, and a kind that is none yet.
    let unknown_network = (7..=255_u8, vec(any::<u8>(), 0..40), any::<u16>())
        .prop_map(|(network, address, port)| NetInfoEntry::Service { network, address, port });
    let unknown_kind = (3..255_u8).prop_map(|code| NetInfoEntry::Unknown { code });
    prop_oneof![service, domain, Just(NetInfoEntry::Invalid), unknown_network, unknown_kind]
}

fn net_info() -> impl Strategy<Value = ExtendedNetInfo> {
    let purposes = vec![
        NetInfoPurpose::CoreP2p,
        NetInfoPurpose::PlatformP2p,
        NetInfoPurpose::PlatformHttps,
        NetInfoPurpose::Unknown(9),
    ];
    (subsequence(purposes, 0..=4), vec(vec(net_info_entry(), 0..=9), 4)).prop_map(|(purposes, addresses)| {
        ExtendedNetInfo::new(&purposes.into_iter().zip(addresses).collect())
    })
}

pub fn masternode() -> impl Strategy<Value = MasternodeListEntry> {
    let names = (pro_tx_hash(), option::of(confirmed_hash()), public_key(), pubkey_hash());
    let addresses = (socket_addr(), net_info());
    (1..=3_u16, names, addresses, any::<bool>(), option::of((any::<u16>(), pubkey_hash()))).prop_map(
        |(version, (pro_reg_tx_hash, confirmed_hash, key, key_id_voting), (socket, info), is_valid, evo)| {
            MasternodeListEntry {
                version,
                pro_reg_tx_hash,
                confirmed_hash,
                service_address: if version < 3 {
                    ServiceAddress::Socket(socket)
                } else {
                    ServiceAddress::Extended(info)
                },
                operator_public_key: key,
                key_id_voting,
                is_valid,
                mn_type: match evo {
                    Some((port, platform_node_id)) if version >= 2 => EntryMasternodeType::HighPerformance {
                        platform_http_port: (version < 3).then_some(port),
                        platform_node_id,
                    },
                    _ => EntryMasternodeType::Regular,
                },
            }
        },
    )
}

pub fn commitment() -> impl Strategy<Value = QuorumEntry> {
    let names = (1..=4_u16, any::<u8>(), quorum_hash(), any::<i16>());
    (names, bits(), bits(), public_key(), vvec_hash(), signature(), signature()).prop_map(
        |((version, llmq_type, quorum_hash, index), signers, valid_members, key, vvec, quorum_sig, sigs)| {
            QuorumEntry {
                version,
                llmq_type: LLMQType(llmq_type),
                quorum_hash,
                quorum_index: (version % 2 == 0).then_some(index),
                signers,
                valid_members,
                quorum_public_key: key,
                quorum_vvec_hash: vvec,
                threshold_sig: quorum_sig,
                all_commitment_aggregated_signature: sigs,
            }
        },
    )
}

fn chain_lock_group() -> impl Strategy<Value = QuorumCLSigObject> {
    (signature(), btree_set(any::<u16>(), 0..4)).prop_map(|(signature, indexes)| QuorumCLSigObject {
        signature,
        index_set: indexes.into_iter().collect(),
    })
}

pub fn mn_list_diff() -> impl Strategy<Value = MnListDiff> {
    let deleted_quorum = (any::<u8>(), quorum_hash())
        .prop_map(|(kind, quorum_hash)| DeletedQuorum { llmq_type: LLMQType(kind), quorum_hash });
    let proof = (block_hash(), block_hash(), any::<u32>(), vec(merkle_node(), 0..4), bytes(), transaction());
    let masternodes = (vec(pro_tx_hash(), 0..3), vec(masternode(), 0..4));
    let quorums = (vec(deleted_quorum, 0..3), vec(commitment(), 0..3), vec(chain_lock_group(), 0..3));
    (proof, masternodes, quorums).prop_map(|(proof, masternodes, quorums)| {
        let (base_block_hash, block_hash, total_transactions, merkle_hashes, merkle_flags, coinbase_tx) =
            proof;
        MnListDiff {
            version: 1,
            base_block_hash,
            block_hash,
            total_transactions,
            merkle_hashes,
            merkle_flags,
            coinbase_tx,
            deleted_masternodes: masternodes.0,
            new_masternodes: masternodes.1,
            deleted_quorums: quorums.0,
            new_quorums: quorums.1,
            quorums_chainlock_signatures: quorums.2,
        }
    })
}

pub fn snapshot() -> impl Strategy<Value = QuorumSnapshot> {
    let mode = prop_oneof![
        Just(MNSkipListMode::NoSkipping),
        Just(MNSkipListMode::SkipFirst),
        Just(MNSkipListMode::SkipExcept),
        Just(MNSkipListMode::SkipAll),
    ];
    (mode, bits(), vec(any::<i32>(), 0..5)).prop_map(|(skip_list_mode, active_quorum_members, skip_list)| {
        QuorumSnapshot { skip_list_mode, active_quorum_members, skip_list }
    })
}

pub fn qrinfo() -> impl Strategy<Value = QRInfo> {
    let snapshots = (snapshot(), snapshot(), snapshot());
    let diffs = (mn_list_diff(), mn_list_diff(), mn_list_diff(), mn_list_diff(), mn_list_diff());
    let extra_share = option::of((snapshot(), mn_list_diff()));
    let extra = vec((snapshot(), mn_list_diff()), 0..3);
    (snapshots, diffs, extra_share, vec(commitment(), 0..3), extra).prop_map(
        |(snapshots, diffs, extra_share, last_commitment_per_index, extra)| {
            let (quorum_snapshot_list, mn_list_diff_list) = extra.into_iter().unzip();
            QRInfo {
                quorum_snapshot_at_h_minus_c: snapshots.0,
                quorum_snapshot_at_h_minus_2c: snapshots.1,
                quorum_snapshot_at_h_minus_3c: snapshots.2,
                mn_list_diff_tip: diffs.0,
                mn_list_diff_h: diffs.1,
                mn_list_diff_at_h_minus_c: diffs.2,
                mn_list_diff_at_h_minus_2c: diffs.3,
                mn_list_diff_at_h_minus_3c: diffs.4,
                quorum_snapshot_and_mn_list_diff_at_h_minus_4c: extra_share,
                last_commitment_per_index,
                quorum_snapshot_list,
                mn_list_diff_list,
            }
        },
    )
}

fn address() -> impl Strategy<Value = Address> {
    (any::<u64>(), socket_addr()).prop_map(|(services, address)| Address { services, address })
}

fn addrv2() -> impl Strategy<Value = AddrV2Message> {
    let unknown = (prop_oneof![Just(0), Just(3), 7_u8..], vec(any::<u8>(), 0..40))
        .prop_map(|(network, bytes)| AddrV2::Unknown { network, bytes });
    let address = prop_oneof![
        any::<std::net::Ipv4Addr>().prop_map(AddrV2::Ipv4),
        any::<std::net::Ipv6Addr>().prop_map(AddrV2::Ipv6),
        any::<[u8; 32]>().prop_map(AddrV2::TorV3),
        any::<[u8; 32]>().prop_map(AddrV2::I2p),
        any::<std::net::Ipv6Addr>().prop_map(AddrV2::Cjdns),
        unknown,
    ];
    (any::<u32>(), any::<u64>(), address, any::<u16>())
        .prop_map(|(time, services, address, port)| AddrV2Message { time, services, address, port })
}

fn version() -> impl Strategy<Value = VersionMessage> {
    let numbers = (any::<[i32; 2]>(), any::<[u64; 2]>(), any::<i64>());
    (numbers, address(), address(), "[ -~]{0,30}", any::<[bool; 2]>(), any::<[u8; 32]>()).prop_map(
        |(numbers, receiver, sender, user_agent, flags, mn_auth_challenge)| {
            let ([version, start_height], [services, nonce], timestamp) = numbers;
            VersionMessage {
                version,
                services,
                timestamp,
                receiver,
                sender,
                nonce,
                user_agent,
                start_height,
                relay: flags[0],
                mn_auth_challenge,
                masternode_connection: flags[1],
            }
        },
    )
}

fn get_headers() -> impl Strategy<Value = GetHeadersMessage> {
    (any::<u32>(), vec(block_hash(), 0..6), block_hash()).prop_map(|(version, locator_hashes, stop_hash)| {
        GetHeadersMessage { version, locator_hashes, stop_hash }
    })
}

/// Every message whose encoding is the only one that decodes to it, which all but `headers2` are.
pub fn canonical_message() -> impl Strategy<Value = NetworkMessage> {
    let timed = (any::<u32>(), address()).prop_map(|(time, address)| TimedAddress { time, address });
    let get_diff = (block_hash(), block_hash())
        .prop_map(|(base_block_hash, block_hash)| GetMnListDiff { base_block_hash, block_hash });
    let get_qrinfo = (vec(block_hash(), 0..5), block_hash(), any::<bool>()).prop_map(
        |(base_block_hashes, block_request_hash, extra_share)| GetQRInfo {
            base_block_hashes,
            block_request_hash,
            extra_share,
        },
    );
    let inventory = (0..4_u8, 32_u32.., any::<[u8; 32]>()).prop_map(|(kind, inv_type, hash)| match kind {
        0 => Inventory::Block(BlockHash::from_byte_array(hash)),
        1 => Inventory::ChainLock(hash),
        2 => Inventory::InstantLock(hash),
        _ => Inventory::Unknown { inv_type, hash },
    });
    let headers = vec(header(), 0..4).prop_map(|headers| NetworkMessage::Headers(HeadersMessage(headers)));
    prop_oneof![
        version().prop_map(NetworkMessage::Version),
        Just(NetworkMessage::Verack),
        any::<u64>().prop_map(NetworkMessage::Ping),
        any::<u64>().prop_map(NetworkMessage::Pong),
        get_headers().prop_map(NetworkMessage::GetHeaders),
        get_headers().prop_map(NetworkMessage::GetHeaders2),
        headers,
        Just(NetworkMessage::SendHeaders),
        Just(NetworkMessage::SendHeaders2),
        vec(inventory.clone(), 0..5).prop_map(NetworkMessage::Inv),
        vec(inventory.clone(), 0..5).prop_map(NetworkMessage::GetData),
        vec(inventory, 0..5).prop_map(NetworkMessage::NotFound),
        chain_lock().prop_map(NetworkMessage::ClSig),
        instant_lock().prop_map(NetworkMessage::IsdLock),
        Just(NetworkMessage::GetAddr),
        vec(timed, 0..5).prop_map(NetworkMessage::Addr),
        Just(NetworkMessage::SendAddrV2),
        vec(addrv2(), 0..5).prop_map(NetworkMessage::AddrV2),
        get_diff.prop_map(NetworkMessage::GetMnListD),
        mn_list_diff().prop_map(NetworkMessage::MnListDiff),
        get_qrinfo.prop_map(NetworkMessage::GetQRInfo),
        qrinfo().prop_map(|info| NetworkMessage::QRInfo(Box::new(info))),
    ]
}

fn chain_lock() -> impl Strategy<Value = ChainLock> {
    (any::<u32>(), block_hash(), signature()).prop_map(|(block_height, block_hash, signature)| ChainLock {
        block_height,
        block_hash,
        signature,
    })
}

fn instant_lock() -> impl Strategy<Value = InstantLock> {
    let input = (txid(), any::<u32>()).prop_map(|(txid, vout)| OutPoint { txid, vout });
    (any::<u8>(), vec(input, 0..3), txid(), block_hash(), signature()).prop_map(
        |(version, inputs, txid, cyclehash, signature)| InstantLock {
            version,
            inputs,
            txid,
            cyclehash,
            signature,
        },
    )
}

pub fn message() -> impl Strategy<Value = NetworkMessage> {
    let headers2 = vec(header(), 0..4).prop_map(|headers| NetworkMessage::Headers2(Headers2Message(headers)));
    prop_oneof![22 => canonical_message(), 1 => headers2]
}
