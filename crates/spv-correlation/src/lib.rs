//! Which request does this message answer? Correlation for protocols without request ids
