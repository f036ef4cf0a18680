//! Quantiles and how sure they are.

/// A number with its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Estimate {
    /// The number.
    pub(crate) value: f64,
    /// Lower end.
    pub(crate) low: f64,
    /// Upper end.
    pub(crate) high: f64,
}

/// The value that this share of all is at most. 0 without values.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index into a short list"
)]
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let position = share * last as f64;
    let below = sorted[position.floor() as usize];
    let above = sorted[position.ceil() as usize];
    (above - below).mul_add(position.fract(), below)
}

/// A quantile with the interval that a percentile bootstrap gives it.
pub(crate) fn estimate(values: &[f64], share: f64) -> Estimate {
    let mut rng = fastrand::Rng::with_seed(values.len() as u64);
    let mut resampled: Vec<f64> = Vec::with_capacity(RESAMPLES);
    let mut sample = vec![0.0; values.len()];
    for _ in 0..RESAMPLES {
        for place in &mut sample {
            *place = rng.choice(values).copied().unwrap_or(0.0);
        }
        resampled.push(quantile(&sample, share));
    }
    Estimate {
        value: quantile(values, share),
        low: quantile(&resampled, 0.025),
        high: quantile(&resampled, 0.975),
    }
}

/// Arithmetic mean; 0 without values.
#[expect(clippy::cast_precision_loss, reason = "values are few")]
pub(crate) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

const RESAMPLES: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate() {
        let values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(quantile(&values, 0.0), 1.0);
        assert_eq!(quantile(&values, 0.5), 2.5);
        assert_eq!(quantile(&values, 1.0), 4.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }

    #[test]
    fn intervals_hold_the_value_and_shrink_with_more_of_it() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut width = |count| {
            let values: Vec<f64> = (0..count).map(|_| rng.f64()).collect();
            let median = estimate(&values, 0.5);
            assert!(median.low <= median.value && median.value <= median.high);
            median.high - median.low
        };
        assert!(width(1_000) < width(50) / 2.0);
        let constant = estimate(&[7.0; 20], 0.95);
        assert_eq!((constant.low, constant.high), (7.0, 7.0));
    }
}
