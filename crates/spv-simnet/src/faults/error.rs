/// Why a text describes no faults. Each holds the part that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultsError {
    /// There is no such fault.
    #[error(
        "unknown fault {0:?}; use silent, refuse-all, headers, no-pong, never-read, one of disconnect, refuse, drop, stall, \
         wrong, corrupt, bad-checksum, reorder, forge, truncate, pad, delay, late and duplicate with =WHEN, or one of mute-after, \
         trickle, behind, claim, withhold, junk-chain, flood, rate-limit, clock, locks and instant-locks with =VALUE"
    )]
    Unknown(String),
    /// What follows the name does not say when.
    #[error("{0:?} does not say when; use a probability from 0 to 1, every:N or first:N")]
    Schedule(String),
    /// A delay has no time.
    #[error("{0:?} does not say how long; use WHEN:TIME, for example 0.1:500ms")]
    Delay(String),
    /// A count or a height is none.
    #[error("{0:?} does not give a whole number that can be used")]
    Number(String),
    /// A flood has no kind or no rate.
    #[error(
        "{0:?} does not say what and how often; use KIND:RATE with 1 to 10000 messages a second of known-headers, \
         fork-headers, big-headers, big-lists, inv, lock-inv, locks, addr or ping"
    )]
    Flood(String),
    /// A clock is not wrong by a time.
    #[error("{0:?} does not say how wrong the clock is; use a time in whole seconds, for example 6h or -6h")]
    Clock(String),
    /// There is no such way to announce ChainLocks.
    #[error("{0:?} does not say how ChainLocks are announced; use honest, none, early, twice or forged")]
    Locks(String),
    /// There is no such way to announce InstantSend locks.
    #[error(
        "{0:?} does not say what is made of InstantSend locks; use honest, none, forged, genesis, unknown, no-cycle or future"
    )]
    InstantLocks(String),
}
