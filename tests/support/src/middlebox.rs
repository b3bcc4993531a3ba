//! A box in the router that answers in the server's stead: an accelerator, a captive portal.

use std::net::TcpListener;

use crate::receiver::{Receiver, Scheme};
use crate::space::run;
use crate::world::World;

/// Where it listens: for what is plain, and for TLS.
const PLAIN: u16 = 8080;
const SECURE: u16 = 8443;

/// A box on the line of one uplink, in the way from [`Middlebox::close`] on.
pub struct Middlebox {
    /// What it takes and how it answers.
    pub receiver: Receiver,
    matching: String,
    mute: bool,
}

impl Middlebox {
    /// It takes the connections of `interface` to the ports 80 and 443 from now on, and does `what` a
    /// receiver can do. Connections that are there already stay where they are.
    #[must_use]
    pub fn on(world: &World, interface: &str, what: &str) -> Self {
        Self::taking(world, &format!("iifname \"r-{interface}\""), what)
    }

    /// The same for what these words of nft match.
    ///
    /// # Panics
    ///
    /// If it cannot listen, or `what` is nothing that a receiver can do.
    #[must_use]
    pub fn taking(world: &World, matching: &str, what: &str) -> Self {
        let receiver = world.router.within(|| {
            let listen = |port| TcpListener::bind(("::", port)).expect("bind the box");
            let listeners = vec![(listen(SECURE), Scheme::Https), (listen(PLAIN), Scheme::Http)];
            Receiver::start(listeners, world.certificates())
        });
        receiver.follow(what).expect("something that a receiver does");
        // To plain HTTP the first message of TLS is a request without an end.
        let mute = what == "hang";
        let middlebox = Self { receiver, matching: matching.to_owned(), mute };
        middlebox.close(world);
        middlebox
    }

    /// Gets in the way of new connections.
    pub fn close(&self, world: &World) {
        let Self { matching, mute, .. } = self;
        let secure = if *mute { PLAIN } else { SECURE };
        world.router.nft(&format!(
            "table inet box {{
                chain turn {{
                    type nat hook prerouting priority -100
                    {matching} tcp dport 80 redirect to :{PLAIN}
                    {matching} tcp dport 443 redirect to :{secure}
                }}
            }}"
        ));
    }

    /// Lets new connections through.
    pub fn open(&self, world: &World) {
        run(world.router.command("nft").args(["delete", "table", "inet", "box"]), "");
    }
}
