use std::time::Duration;

pub(crate) fn median_duration(mut values: Vec<Duration>) -> Option<Duration> {
    values.sort_unstable();
    let (low, high) = middle(&values)?;
    Some(low + (high - low) / 2)
}

pub(crate) fn median_f64(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let (low, high) = middle(&values)?;
    Some(low + (high - low) / 2.0)
}

fn middle<T: Copy>(sorted: &[T]) -> Option<(T, T)> {
    Some((*sorted.get(sorted.len().checked_sub(1)? / 2)?, *sorted.get(sorted.len() / 2)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middles() {
        assert_eq!(median_duration(vec![]), None);
        assert_eq!(median_duration(vec![ms(9), ms(1), ms(2)]), Some(ms(2)));
        assert_eq!(median_duration(vec![ms(9), ms(1), ms(2), ms(4)]), Some(ms(3)));
        assert_eq!(median_duration(vec![Duration::MAX; 4]), Some(Duration::MAX));
        assert_eq!(median_f64(vec![1.0, 0.0]), Some(0.5));
    }
}
