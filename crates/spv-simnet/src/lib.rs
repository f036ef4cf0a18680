//! A simulated Dash network that speaks the real protocol over TCP
