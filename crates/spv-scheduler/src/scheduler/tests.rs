use super::*;
use crate::Priority::{Critical, High, Low, Normal};

const AGEING: Duration = Duration::from_secs(5);

fn start() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn scheduler(now: Instant) -> Scheduler<&'static str> {
    Scheduler::new(&Config { ageing: AGEING, ..Config::default() }, now).unwrap()
}

fn run_all(scheduler: &mut Scheduler<&'static str>, now: Instant) -> Vec<&'static str> {
    std::iter::from_fn(|| match scheduler.poll(now) {
        Next::Run(job) => Some(job.item),
        Next::WaitUntil(_) | Next::Idle => None,
    })
    .collect()
}

#[test]
fn urgent_first_then_the_callers_order_then_first_come() {
    let t0 = start();
    let mut s = scheduler(t0);
    let ranks = [
        ("low", Rank::from(Low)),
        ("normal 7", Normal.in_order(7)),
        ("normal 3", Normal.in_order(3)),
        ("normal 3 again", Normal.in_order(3)),
        ("critical", Critical.into()),
        ("high", High.into()),
    ];
    for (item, rank) in ranks {
        s.push(item, rank, t0, t0).unwrap();
    }
    let order = run_all(&mut s, t0);
    assert_eq!(order, ["critical", "high", "normal 3", "normal 3 again", "normal 7", "low"]);
}

#[test]
fn an_item_that_is_not_ready_does_not_hold_up_the_others() {
    let t0 = start();
    let mut s = scheduler(t0);
    let later = t0 + Duration::from_secs(3);
    s.push("later", Critical, later, t0).unwrap();
    s.push("now", Low, t0, t0).unwrap();
    assert_eq!(run_all(&mut s, t0), ["now"]);
    assert_eq!(s.poll(t0), Next::WaitUntil(later));
    assert_eq!(run_all(&mut s, later), ["later"]);
    assert_eq!(s.poll(later), Next::Idle);
}

#[test]
fn ageing_lifts_a_low_item_over_fresh_critical_ones() {
    let t0 = start();
    let mut s = scheduler(t0);
    s.push("low", Low, t0, t0).unwrap();
    s.push("soon", Critical, t0 + AGEING, t0).unwrap();
    s.push("late", Critical, t0 + 4 * AGEING, t0).unwrap();
    assert_eq!(run_all(&mut s, t0 + 4 * AGEING), ["soon", "low", "late"]);
}

#[test]
fn the_rate_limit_tells_when_and_counts_each_hold_up_once() {
    let t0 = start();
    let config = Config { burst: 1, per_second: 2.0, ..Config::default() };
    let mut s = Scheduler::new(&config, t0).unwrap();
    for item in ["a", "b"] {
        s.push(item, Normal, t0, t0).unwrap();
    }
    assert_eq!(run_all(&mut s, t0), ["a"]);
    let at = t0 + Duration::from_millis(500);
    assert_eq!(s.poll(t0), Next::WaitUntil(at));
    assert_eq!(run_all(&mut s, at), ["b"]);
    assert_eq!(s.throttled(), 1);
    assert_eq!(s.poll(at), Next::Idle, "an empty queue asks for no token");
}

#[test]
fn a_retry_keeps_ticket_and_attempts_and_may_be_demoted() {
    let t0 = start();
    let mut s = scheduler(t0);
    let ticket = s.push("work", High, t0, t0).unwrap();
    let Next::Run(job) = s.poll(t0) else { panic!("ready") };
    assert_eq!((job.ticket, job.attempt, job.priority), (ticket, 1, High));
    s.retry(ticket, job.item, job.priority.lowered(), t0 + AGEING, t0).unwrap();
    assert_eq!(s.poll(t0), Next::WaitUntil(t0 + AGEING));
    let Next::Run(job) = s.poll(t0 + 2 * AGEING) else { panic!("ready") };
    assert_eq!((job.ticket, job.attempt, job.priority, job.waited), (ticket, 2, Normal, AGEING));
    assert_eq!(s.finish(ticket), [ticket]);
    assert_eq!(s.finish(ticket), []);
    assert_eq!(s.retry(ticket, "work", High, t0, t0), Err(UnknownTicket { ticket, item: "work" }));
    assert_eq!(s.lengths(), Lengths::default());
}

#[test]
fn a_full_queue_hands_the_item_back_but_a_retry_always_fits() {
    let t0 = start();
    let mut s = Scheduler::new(&Config { capacity: 1, ..Config::default() }, t0).unwrap();
    let ticket = s.push("a", Normal, t0, t0).unwrap();
    assert_eq!(s.push("b", Critical, t0, t0), Err(QueueFull { item: "b", capacity: 1 }));
    let Next::Run(job) = s.poll(t0) else { panic!("ready") };
    assert!(s.push("b", Critical, t0, t0).is_err(), "a running job keeps its place");
    s.retry(ticket, job.item, Normal, t0, t0).unwrap();
    assert_eq!(s.lengths().total(), 1);
}

#[test]
fn cancelling_ends_an_item_in_every_state() {
    let t0 = start();
    let mut s = scheduler(t0);
    let running = s.push("running", Critical, t0, t0).unwrap();
    let ready = s.push("ready", Normal, t0, t0).unwrap();
    let waiting = s.push("waiting", Normal, t0 + AGEING, t0).unwrap();
    let Next::Run(job) = s.poll(t0) else { panic!("ready") };
    assert_eq!(s.cancel(running), Some(Cancelled::Running));
    assert!(s.retry(running, job.item, Normal, t0, t0).is_err());
    assert_eq!(s.cancel(ready), Some(Cancelled::Queued("ready")));
    assert_eq!(s.cancel(waiting), Some(Cancelled::Queued("waiting")));
    assert_eq!(s.cancel(waiting), None);
    assert_eq!(s.poll(t0 + AGEING), Next::Idle);
    assert_eq!(s.lengths(), Lengths::default());
}

#[test]
fn draining_hands_back_what_is_queued_in_order() {
    let t0 = start();
    let mut s = scheduler(t0);
    for (item, priority, delay) in [("later", Critical, 2), ("b", Low, 0), ("soon", Low, 1), ("a", High, 0)] {
        s.push(item, priority, t0 + Duration::from_secs(delay), t0).unwrap();
    }
    assert_eq!(s.drain(), ["a", "b", "soon", "later"]);
    assert_eq!(s.poll(t0 + AGEING), Next::Idle);
}

#[test]
fn a_job_retried_for_ever_does_not_starve_its_equals() {
    let t0 = start();
    let mut s = scheduler(t0);
    s.push("greedy", Normal.in_order(0), t0, t0).unwrap();
    s.push("modest", Normal.in_order(9), t0, t0).unwrap();
    let mut now = t0;
    for _ in 0..20 {
        now += Duration::from_secs(1);
        let Next::Run(job) = s.poll(now) else { panic!("ready") };
        if job.item == "modest" {
            assert!(now - t0 <= 2 * AGEING);
            return;
        }
        s.retry(job.ticket, job.item, Normal.in_order(0), now, now).unwrap();
    }
    panic!("starved");
}
