use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use mio::{Events, Poll};

use super::*;
use crate::scratch::Scratch;

mod http;
mod lines;

const PATIENCE: Duration = Duration::from_secs(20);
const LINES_FIRST: Token = Token(200);
const HTTP_FIRST: Token = Token(100);

/// A loop with nothing but the server, whose clock stands still.
struct Loop {
    server: LocalServer,
    poll: Poll,
    now: Instant,
    directory: Scratch,
}

impl Loop {
    /// Listens nowhere yet.
    fn new() -> Self {
        let poll = Poll::new().unwrap();
        let server = LocalServer::new(poll.registry(), LINES_FIRST, HTTP_FIRST).unwrap();
        let directory = Scratch::new();
        Self { server, poll, now: Instant::from_micros(1_000_000), directory }
    }

    fn pending(&self) -> Vec<Token> {
        self.server.pending(self.now).collect()
    }

    /// One wake-up; waits for it at most `limit`.
    fn turn(&mut self, limit: Duration) -> Vec<Request> {
        let pending = self.pending();
        let limit = if pending.is_empty() { limit } else { Duration::ZERO };
        let mut events = Events::with_capacity(64);
        self.poll.poll(&mut events, Some(limit)).unwrap();
        let mut ready: Vec<_> = events.iter().map(|event| event.token()).chain(pending).collect();
        ready.sort_unstable();
        ready.dedup();
        ready.into_iter().filter_map(|token| self.server.on_ready(token, self.now)).collect()
    }

    /// The one request of the next wake-up that has some.
    fn request(&mut self) -> Request {
        for _ in 0..100 {
            let mut requests = self.turn(PATIENCE);
            if let Some(request) = requests.pop() {
                assert!(requests.is_empty(), "{requests:?}");
                return request;
            }
        }
        panic!("no request came");
    }

    /// Answers a request with the core's answer to a trigger.
    fn answer(&mut self, request: &Request, answer: TriggerAnswer) {
        let utc = |at: Instant| Utc(at.as_micros() / 1_000_000);
        self.server.on_answer(request.id.expect("a client"), answer, self.now, utc);
    }

    fn reply(&mut self, request: &Request, body: &[u8]) {
        let id = request.id.expect("a client");
        self.server.reply(id, 200, &Content::JSON, body, self.now);
    }

    fn finish_waiting(&mut self, covers: u64, outcome: &Outcome<'_>) {
        self.server.finish_waiting(covers, outcome, self.now);
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.server.on_deadline(self.now);
        let is_over = self.server.next_deadline().is_none_or(|at| at > self.now);
        assert!(is_over || !self.pending().is_empty());
    }

    fn connected(&self) -> usize {
        self.server.clients.iter().count()
    }
}

#[test]
fn ids_of_requests_differ_at_the_end_of_the_numbers_too() {
    let mut tested = Loop::lines();
    tested.server.last_id = RequestId(u32::MAX - 1);
    let mut clients = [tested.connect(), tested.connect(), tested.connect()];
    let ids = clients.each_mut().map(|client| {
        client.write("status\n");
        tested.request().id
    });
    assert_eq!(ids, [u32::MAX, 0, 1].map(|id| Some(RequestId(id))));
}

#[test]
fn crowd_at_one_socket_does_not_lock_out_the_other() {
    let mut tested = Loop::lines();
    tested.listen("127.0.0.1:0", None);
    let helpers: Vec<_> = (0..HELPERS_MAX + GUESTS_MAX)
        .map(|_| {
            tested.pass(Duration::from_millis(250));
            tested.connect()
        })
        .collect();
    let visitors: Vec<_> = (0..HTTP_CLIENTS_MAX)
        .map(|_| {
            let visitor = tested.ask(http::STATUS);
            assert_eq!(tested.request().ask, Ask::Status);
            visitor
        })
        .collect();
    assert_eq!(tested.connected(), helpers.len() + visitors.len());
    drop(helpers);
    while tested.connected() > visitors.len() {
        tested.turn(PATIENCE);
    }
    let mut helper = tested.connect();
    helper.write("status\n");
    assert_eq!(tested.request().ask, Ask::Status);
}
