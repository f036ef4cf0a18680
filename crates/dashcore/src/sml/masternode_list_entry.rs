//! Entries of the simplified masternode list (DIP4; Dash Core `CSimplifiedMNListEntry`, evo/simplifiedmns.h).

use bitcoin_hashes::sha256d;

use super::address::{ExtendedNetInfo, NetInfoEntry, ServiceAddress};
use crate::bls_sig_utils::BLSPublicKey;
use crate::consensus::{Decodable, DecodeError, DecodeErrorKind, Encodable, Reader};
use crate::hash_types::{ConfirmedHash, ProTxHash, PubkeyHash};

/// One masternode, versions 1 (legacy BLS keys), 2 (basic BLS keys) and 3 (extended addresses).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasternodeListEntry {
    /// 1 to 3. Not part of the entry's hash.
    pub version: u16,
    /// The registration transaction; the masternode's identity.
    pub pro_reg_tx_hash: ProTxHash,
    /// Block at which the registration was confirmed; `None` before that.
    pub confirmed_hash: Option<ConfirmedHash>,
    /// Where it can be reached. `Extended` exactly when the version is 3.
    pub service_address: ServiceAddress,
    /// Operator key, in legacy encoding exactly when the version is 1; zero when revoked.
    pub operator_public_key: BLSPublicKey,
    /// Hash of the key that votes on governance.
    pub key_id_voting: PubkeyHash,
    /// `false` while the masternode is banned for its proof-of-service score or revoked.
    pub is_valid: bool,
    /// Regular or Evo.
    pub mn_type: EntryMasternodeType,
}

/// Kind of masternode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryMasternodeType {
    /// 1,000 Dash collateral.
    Regular,
    /// EvoNode: 4,000 Dash collateral, serves Platform.
    HighPerformance {
        /// Platform HTTP port; `None` in version 3, where it is among the extended addresses.
        platform_http_port: Option<u16>,
        /// Platform node id.
        platform_node_id: PubkeyHash,
    },
}

impl MasternodeListEntry {
    const EXTENDED: u16 = 3;
    const EVO: u16 = 1;

    /// SHA-256d of the encoding without its version: the leaf of the list's merkle tree.
    pub fn entry_hash(&self) -> [u8; 32] {
        self.entry_hash_in(&mut Vec::with_capacity(192))
    }

    /// The same, for many entries one after the other: what `buffer` holds is overwritten, its memory reused.
    pub fn entry_hash_in(&self, buffer: &mut Vec<u8>) -> [u8; 32] {
        buffer.clear();
        self.encode_hashed_part(buffer);
        sha256d::hash(buffer).to_byte_array()
    }

    /// Whether this is an EvoNode.
    pub fn is_evo(&self) -> bool {
        matches!(self.mn_type, EntryMasternodeType::HighPerformance { .. })
    }

    fn encode_hashed_part(&self, out: &mut Vec<u8>) {
        self.pro_reg_tx_hash.consensus_encode(out);
        self.confirmed_hash.unwrap_or_default().consensus_encode(out);
        match &self.service_address {
            ServiceAddress::Socket(address) => address.consensus_encode(out),
            ServiceAddress::Extended(info) => info.consensus_encode(out),
        }
        self.operator_public_key.consensus_encode(out);
        self.key_id_voting.consensus_encode(out);
        self.is_valid.consensus_encode(out);
        if self.version >= 2 {
            u16::from(self.is_evo()).consensus_encode(out);
        }
        if let EntryMasternodeType::HighPerformance { platform_http_port, platform_node_id } = &self.mn_type {
            if let Some(port) = platform_http_port {
                port.consensus_encode(out);
            }
            platform_node_id.consensus_encode(out);
        }
    }
}

impl Encodable for MasternodeListEntry {
    fn consensus_encode(&self, out: &mut Vec<u8>) {
        self.version.consensus_encode(out);
        self.encode_hashed_part(out);
    }
}

impl Decodable for MasternodeListEntry {
    const MIN_SIZE: usize = 2 + 32 + 32 + 2 + 48 + 20 + 1;

    fn consensus_decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.position();
        let version: u16 = reader.read("entry.nVersion")?;
        if !(1..=Self::EXTENDED).contains(&version) {
            return Err(reader.error_at(start, DecodeErrorKind::of_version(version, Self::EXTENDED)));
        }
        let pro_reg_tx_hash = reader.read("entry.proRegTxHash")?;
        let confirmed_hash: ConfirmedHash = reader.read("entry.confirmedHash")?;
        let service_address = if version < Self::EXTENDED {
            ServiceAddress::Socket(reader.read("entry.service")?)
        } else {
            ServiceAddress::Extended(ExtendedNetInfo::consensus_decode(reader)?)
        };
        let operator_public_key = reader.read("entry.pubKeyOperator")?;
        let key_id_voting = reader.read("entry.keyIDVoting")?;
        let valid_start = reader.position();
        let is_valid = reader.read("entry.isValid").map_err(|error: DecodeError| {
            match (error.kind, unknown_address_kind(&service_address)) {
                // Something of that address has been left unread.
                (DecodeErrorKind::UnknownValue { .. }, Some(code)) => {
                    let kind = DecodeErrorKind::of_version(code.into(), NetInfoEntry::NEWEST_KIND.into());
                    reader.error_at(valid_start, kind)
                }
                _ => error,
            }
        })?;
        let type_start = reader.position();
        let node_type: u16 = if version >= 2 { reader.read("entry.nType")? } else { 0 };
        let mn_type = match node_type {
            0 => EntryMasternodeType::Regular,
            1 => EntryMasternodeType::HighPerformance {
                platform_http_port: if version < Self::EXTENDED {
                    Some(reader.read("entry.platformHTTPPort")?)
                } else {
                    None
                },
                platform_node_id: reader.read("entry.platformNodeID")?,
            },
            newer => return Err(reader.error_at(type_start, DecodeErrorKind::of_version(newer, Self::EVO))),
        };
        Ok(Self {
            version,
            pro_reg_tx_hash,
            confirmed_hash: (!confirmed_hash.is_null()).then_some(confirmed_hash),
            service_address,
            operator_public_key,
            key_id_voting,
            is_valid,
            mn_type,
        })
    }
}

fn unknown_address_kind(address: &ServiceAddress) -> Option<u8> {
    match address {
        ServiceAddress::Extended(info) => info.unknown_kind(),
        ServiceAddress::Socket(_) => None,
    }
}
