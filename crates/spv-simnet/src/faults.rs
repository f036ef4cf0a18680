//! What a simulated node does wrong.

mod clock_offset;
mod error;
mod flood;
mod instant_lock_announcements;
mod junk_chain;
mod lock_announcements;
mod plan;
mod schedule;
mod text;

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use clock_offset::ClockOffset;
pub use error::FaultsError;
pub use flood::{Flood, FloodKind};
pub use instant_lock_announcements::InstantLockAnnouncements;
pub use junk_chain::JunkChain;
pub use lock_announcements::LockAnnouncements;
pub use schedule::Schedule;

pub(crate) use plan::{Asked, Fault, FaultPlan};

/// What a simulated node does wrong, and in which cases.
///
/// Faults with a [`Schedule`] concern `qrinfo` and `mnlistdiff`, with [`headers`](Self::headers) also `headers` and
/// `headers2`; those with headers in their name concern these alone, and in any case. At most one of them hits a request,
/// the first of the order below. The others say what the node is like all the time.
///
/// As text, and in configuration files, faults are separated by commas:
/// `drop=0.1,refuse=every:4,delay=0.1:500ms,silent`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub struct Faults {
    /// `silent`: nothing is ever answered after the handshake, not even pings.
    pub silent: bool,
    /// `refuse-all`: every request is refused.
    pub refuse_all: bool,
    /// `headers`: the other faults concern `getheaders` and `getheaders2` too.
    pub headers: bool,
    /// `disconnect=S`: the connection is closed instead of an answer; concerns requests for headers in any case.
    pub disconnect: Schedule,
    /// `refuse=S`: no answer but its pong, and a point of misbehaviour, as if the node lacked the data.
    pub refuse: Schedule,
    /// `drop=S`: no answer but its pong, without a point of misbehaviour, as after an error inside the node.
    pub drop: Schedule,
    /// `stall=S`: no answer, and no pong for the next ping of the connection either.
    pub stall: Schedule,
    /// `wrong=S`: the honest answer to a different request.
    pub wrong: Schedule,
    /// `corrupt=S`: one byte of the payload is changed; the frame's checksum fits.
    pub corrupt: Schedule,
    /// `bad-checksum=S`: the frame's checksum does not fit.
    pub bad_checksum: Schedule,
    /// `delay=S:TIME`: the answer, and all that follows on the connection, comes so much later.
    pub delay: Schedule,
    /// How much later: at most 1 h.
    pub delay_by: Duration,
    /// `late=S:TIME`: the answer comes so much later, but its pong and all that follows do not wait for it.
    pub late: Schedule,
    /// How much later: at most 1 h.
    pub late_by: Duration,
    /// `duplicate=S` or `duplicate=S:TIME`: the answer is sent a second time, right behind the first or so much later.
    /// Nothing waits for the second one.
    pub duplicate: Schedule,
    /// How much later: at most 1 h. Default 0.
    pub duplicate_after: Duration,
    /// `reorder=S`: the answer, and with it its pong, is held back until the next answer on the connection has been
    /// sent, or until 300 ms have passed without one.
    pub reorder: Schedule,
    /// `forge=S`: one bit in the last third of the payload is flipped; which one follows from the request alone, so that
    /// all nodes with this fault tell the same lie. The frame's checksum fits.
    pub forge: Schedule,
    /// `truncate=S`: the second half of the payload is missing; the frame's length and checksum fit.
    pub truncate: Schedule,
    /// `pad=S`: zeros follow the answer until its payload has 32 MiB, the most that a frame may carry by default; the
    /// frame's length and checksum fit.
    pub pad: Schedule,
    /// `half-headers=S`: `headers` and `headers2` end after the first half, as if the chain did.
    pub half_headers: Schedule,
    /// `bad-headers2=S`: a `headers2` cannot be decoded; the frame's checksum fits. Concerns `getheaders2` in any case.
    pub bad_headers2: Schedule,
    /// `no-headers2`: compressed headers are not offered, and `getheaders2` is ignored, as by an old node.
    pub no_headers2: bool,
    /// `no-pong`: requests are answered, but no ping ever is.
    pub no_pong: bool,
    /// `mute-after=N`: once N messages were received on a connection, those of the handshake included, nothing is
    /// answered on it any more, not even pings, and no block announced.
    pub mute_after: Option<u64>,
    /// `never-read`: after the handshake nothing is read from the connection any more, so that what is written to it
    /// piles up, and no block is announced. As little as possible fits into the buffers below.
    pub never_read: bool,
    /// `trickle=N`: after the handshake at most so many bytes a second are sent on a connection, each when it is due.
    pub trickle: Option<NonZeroU32>,
    /// `behind=N`: the node's chain ends so many blocks below the one that it is given, now and whenever that grows.
    pub behind: u32,
    /// `claim=H`: the height that `version` claims, whatever the chain is.
    pub claim: Option<u32>,
    /// `withhold=H`: requests for headers are answered without those above this height, and no block above it is announced.
    /// With `claim=0,withhold=0` the node looks like one that is still in its initial download, whose chain has less than
    /// the minimum work.
    pub withhold: Option<u32>,
    /// `junk-chain=N` or `junk-chain=N:FORK`: the headers that the node shows are those of its chain up to the height FORK,
    /// or all, and so many cheap ones that it mines on top when it starts, whose height it claims and whose lists it
    /// refuses. Lists of real blocks are served. It sticks to that chain whatever comes, and announces nothing. The
    /// node's seed decides what is mined. Only for networks whose difficulty never changes.
    pub junk_chain: Option<JunkChain>,
    /// `flood=KIND:RATE`: from the end of the handshake on, so many messages a second are sent that nobody asked for.
    /// What a connection cannot take is left out.
    pub flood: Option<Flood>,
    /// `rate-limit=N`: the node answers N `getmnlistd` a second on one connection, and at most N at once. It answers
    /// nothing but the pings to the others, and counts no misbehaviour.
    pub rate_limit: Option<NonZeroU32>,
    /// `clock=OFFSET`: how wrong the time in `version` is.
    pub clock: ClockOffset,
    /// `locks=KIND`: how the ChainLocks of new blocks are announced: `honest`, `none`, `early`, `twice` or `forged`.
    pub locks: LockAnnouncements,
    /// `instant-locks=KIND`: what the node makes of the InstantSend locks that it is given: `honest`, `none`, `forged`,
    /// `genesis`, `unknown`, `no-cycle` or `future`.
    pub instant_locks: InstantLockAnnouncements,
}
