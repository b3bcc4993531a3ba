//! Certificates made by `openssl`, shown by openssl, nginx, HAProxy and Apache: which of them the
//! agent trusts, and the messages for the others.

mod servers;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use linkbeat_support::agent::binary_or;
use rustix::event::poll;
use rustix::time::Timespec;
use serde_json::{Value, json};

use self::servers::Server;

/// Number of checks whether a process is ready, 10 ms apart.
const LOOKS: usize = 1000;

/// A directory for one test, removed on drop.
struct Directory(PathBuf);

impl Directory {
    fn new(test: &str) -> Self {
        let name = format!("linkbeat-field-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a directory of our own");
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("a file of our own");
        path
    }

    /// Runs openssl in this directory and returns its output.
    fn openssl(&self, line: &str) -> String {
        let command = format!("set -e; cd {}; {line}", self.0.display());
        let output = Command::new("sh").args(["-c", &command]).output().expect("a shell");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {errors}");
        String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
    }

    /// Creates `NAME.pem` and `NAME.key` in the usual way.
    fn self_signed(&self, name: &str, options: &str) {
        self.openssl(&format!(
            "openssl req -x509 -nodes -days 30 -keyout {name}.key -out {name}.pem {options}"
        ));
    }

    /// Creates them with X.509 version 1, as older recipes do.
    fn version1(&self, name: &str, options: &str) {
        self.openssl(&format!(
            "openssl req -new -nodes -keyout {name}.key -out {name}.csr {options}
             openssl x509 -req -in {name}.csr -signkey {name}.key -days 30 -out {name}.pem"
        ));
        let shown = self.openssl(&format!("openssl x509 -in {name}.pem -noout -text"));
        assert!(shown.contains("Version: 1 "), "{shown}");
    }

    /// Creates `NAME.pem` and `NAME.key`, signed by the authority `ca`.
    fn signed(&self, name: &str, ca: &str, options: &str, extensions: &str) {
        self.write("extensions", extensions);
        self.openssl(&format!(
            "openssl req -new -nodes -keyout {name}.key -out {name}.csr {options}
             openssl x509 -req -in {name}.csr -CA {ca}.pem -CAkey {ca}.key -CAcreateserial -days 30 \
                -extfile extensions -out {name}.pem"
        ));
    }

    /// The pin of `NAME.pem`, computed by openssl.
    fn pin(&self, name: &str) -> String {
        self.openssl(&format!(
            "openssl x509 -in {name}.pem -pubkey -noout | openssl pkey -pubin -outform der |
             openssl dgst -sha256 -binary | base64"
        ))
    }

    fn trusting(&self, name: &str) -> Value {
        json!({ "ca_file": self.path(name) })
    }

    fn pinning(&self, name: &str) -> Value {
        json!({ "pin_sha256": self.pin(name) })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("remove our own directory");
    }
}

/// Waits until `is_there`.
fn wait_for(what: &str, is_there: impl Fn() -> bool) {
    let pause = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
    for _ in 0..LOOKS {
        if is_there() {
            return;
        }
        poll(&mut [], Some(&pause)).expect("a pause");
    }
    panic!("{what} is not there");
}

/// A running agent. Dropping it ends the process.
struct Camera {
    process: Child,
    directory: PathBuf,
}

impl Camera {
    fn configure(directory: &Directory, url: &str, tls: &Value) -> PathBuf {
        let meeting = json!({
            "api_url": url, "device_key": "camera-1", "tls": tls, "heartbeat_interval": 86_400,
            "status_listen": "", "trigger_socket": directory.path("trigger.sock"),
            "log_target": "stderr",
        });
        directory.write("meeting.json", &meeting.to_string())
    }

    fn start(directory: &Directory, url: &str, tls: &Value) -> Self {
        let config = Self::configure(directory, url, tls);
        let log = fs::File::create(directory.path("log")).expect("a file of our own");
        let process = Command::new(binary())
            .args(["run", "--config"])
            .arg(config)
            .stderr(log)
            .spawn()
            .expect("start the agent");
        let socket = directory.path("trigger.sock");
        wait_for("the agent", || socket.exists());
        Self { process, directory: directory.0.clone() }
    }

    /// Triggers a beat. Returns whether it was acknowledged, with the command's output and the log.
    fn beat(&self) -> (bool, String) {
        let output = Command::new(binary())
            .args(["trigger", "--wait", "--socket"])
            .arg(self.directory.join("trigger.sock"))
            .output()
            .expect("ask for a beat");
        let log = fs::read_to_string(self.directory.join("log")).expect("a log");
        let answer = String::from_utf8_lossy(&output.stdout);
        (output.status.success(), format!("{answer}{log}"))
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.process.kill().expect("end the agent");
        self.process.wait().expect("end the agent");
        fs::remove_file(self.directory.join("trigger.sock")).ok();
    }
}

fn binary() -> PathBuf {
    binary_or(env!("CARGO_BIN_EXE_linkbeat"))
}

/// Starts an agent for one beat. Returns whether it was acknowledged, with all messages.
fn beat(directory: &Directory, server: &Server, tls: &Value) -> (bool, String) {
    Camera::start(directory, &server.url(), tls).beat()
}

fn assert_beats(directory: &Directory, server: &Server, tls: &Value) {
    let (acknowledged, log) = beat(directory, server, tls);
    assert!(acknowledged, "{tls}: {log}");
}

fn assert_fails(directory: &Directory, server: &Server, tls: &Value, words: &[&str]) {
    let (acknowledged, log) = beat(directory, server, tls);
    assert!(!acknowledged, "{tls}: {log}");
    for word in words {
        assert!(log.contains(word), "{tls}: {word}: {log}");
    }
}

/// Whether curl, as a reference, accepts the server with this pin.
fn curl_takes(server: &Server, pin: &str) -> bool {
    let status = Command::new("curl")
        .args(["--silent", "--insecure", "--max-time", "10", "--data", "{}", "--pinnedpubkey"])
        .args([format!("sha256//{pin}"), server.url()])
        .stdout(Stdio::null())
        .status()
        .expect("curl");
    // CURLE_SSL_PINNEDPUBKEYNOTMATCH
    assert!(status.success() || status.code() == Some(90), "{status}");
    status.success()
}

fn check_pin(config: &Path) -> (bool, String) {
    let output = Command::new(binary())
        .args(["check", "--pin"])
        .arg(config)
        .output()
        .expect("check the configuration");
    (output.status.success(), String::from_utf8(output.stdout).expect("text"))
}

const RSA: &str = "-newkey rsa:2048";
const P256: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256";
const P384: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-384";
const P521: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-521";
const LOCALHOST: &str = "-subj /CN=localhost";
const SAN: &str = "-subj /CN=camera -addext subjectAltName=DNS:localhost,IP:127.0.0.1";

#[test]
fn self_signed_server_is_verified_by_its_own_certificate_or_its_key() {
    let directory = Directory::new("self-signed");
    directory.self_signed("other", &format!("{P256} {LOCALHOST}"));
    for (name, options) in [
        ("rsa", format!("{RSA} {LOCALHOST}")),
        ("rsa-san", format!("{RSA} {SAN}")),
        ("ec", format!("{P256} {LOCALHOST}")),
        ("ec-san", format!("{P384} {SAN}")),
        ("not-ca", format!("{P256} {LOCALHOST} -addext basicConstraints=critical,CA:FALSE")),
        ("usage", format!("{P256} {SAN} -addext extendedKeyUsage=clientAuth")),
        ("ed25519", format!("-newkey ed25519 {LOCALHOST}")),
        ("version1", format!("{RSA} {LOCALHOST}")),
        ("version1-ec", format!("{P256} {LOCALHOST}")),
    ] {
        if name.starts_with("version1") {
            directory.version1(name, &options);
        } else {
            directory.self_signed(name, &options);
        }
        for version in ["-tls1_2", "-tls1_3"] {
            let server = Server::openssl(&directory, name, version);
            assert_beats(&directory, &server, &directory.trusting(&format!("{name}.pem")));
            assert_beats(&directory, &server, &directory.pinning(name));
            assert!(curl_takes(&server, &directory.pin(name)), "{name}");
            assert_fails(&directory, &server, &directory.trusting("other.pem"), &["authority"]);
            let shown = format!("has the pin {}", directory.pin(name));
            assert_fails(&directory, &server, &directory.pinning("other"), &[&shown]);
            assert!(!curl_takes(&server, &directory.pin("other")), "{name}");
            let config = Camera::configure(&directory, &server.url(), &json!({}));
            let (found, output) = check_pin(&config);
            let line = format!("tls.pin_sha256: {}\n", directory.pin(name));
            assert!(
                found && output.contains(&line) && output.contains("proves nothing"),
                "{output}"
            );
        }
    }
}

#[test]
fn name_is_checked_for_certificates_and_not_for_pins() {
    let directory = Directory::new("names");
    for (name, options) in [
        ("common-name", format!("{P256} -subj /CN=elsewhere.test")),
        ("san", format!("{P256} {LOCALHOST} -addext subjectAltName=DNS:elsewhere.test")),
    ] {
        directory.self_signed(name, &options);
        let server = Server::openssl(&directory, name, "-tls1_3");
        let words = ["is not for localhost, but for elsewhere.test"];
        assert_fails(&directory, &server, &directory.trusting(&format!("{name}.pem")), &words);
        assert_beats(&directory, &server, &directory.pinning(name));
    }
}

#[test]
fn unverifiable_certificates_are_explained() {
    let directory = Directory::new("words");
    let keys = "RSA of 2048 to 8192 bits, P-256, P-384 or Ed25519";
    directory.self_signed("p521", &format!("{P521} {LOCALHOST}"));
    directory.self_signed("rsa1024", &format!("-newkey rsa:1024 {LOCALHOST}"));
    directory.self_signed("ed448", &format!("-newkey ed448 {LOCALHOST}"));
    for (name, version, words) in [
        ("p521", "-tls1_2", ["handshake_failure", keys]),
        ("p521", "-tls1_3", ["handshake_failure", keys]),
        ("ed448", "-tls1_3", ["handshake_failure", keys]),
        ("rsa1024", "-tls1_2 -cipher ALL:@SECLEVEL=0", ["RSA of 1024 bits", keys]),
        ("rsa1024", "-tls1_3 -cipher ALL:@SECLEVEL=0", ["RSA of 1024 bits", keys]),
    ] {
        let server = Server::openssl(&directory, name, version);
        assert_fails(&directory, &server, &directory.trusting(&format!("{name}.pem")), &words);
        assert_fails(&directory, &server, &directory.pinning(name), &words);
    }
    let constraint = "-addext 'nameConstraints=critical,permitted;DNS:elsewhere.test'";
    let san = "subjectAltName=DNS:localhost\n";
    let client = "subjectAltName=DNS:localhost\nextendedKeyUsage=clientAuth\n";
    directory.self_signed("plain", &format!("{P256} -subj /CN=authority"));
    directory.self_signed("constrained", &format!("{P256} -subj /CN=authority {constraint}"));
    directory.self_signed("p521-ca", &format!("{P521} -subj /CN=authority -sha512"));
    for (ca, extensions, words) in [
        ("constrained", san, "may not vouch for this name (name constraints)"),
        ("p521-ca", san, "is signed with P-521"),
        ("plain", client, "not for servers (extended key usage)"),
        ("plain", "basicConstraints=CA:TRUE\nsubjectAltName=DNS:localhost\n", "CA:TRUE"),
    ] {
        let name = format!("{ca}-leaf");
        directory.signed(&name, ca, &format!("{P256} {LOCALHOST}"), extensions);
        let server = Server::openssl(&directory, &name, "-tls1_3");
        assert_fails(&directory, &server, &directory.trusting(&format!("{ca}.pem")), &[words]);
        // The solution in the message works.
        assert_beats(&directory, &server, &directory.pinning(&name));
        assert_beats(&directory, &server, &directory.trusting(&format!("{name}.pem")));
    }
}

#[test]
fn nginx_haproxy_and_apache_are_verified_by_certificate_and_by_key() {
    let directory = Directory::new("servers");
    directory.self_signed("server", &format!("{RSA} {LOCALHOST}"));
    for start in [Server::nginx, Server::haproxy, Server::apache] {
        let server = start(&directory, "");
        assert_beats(&directory, &server, &directory.trusting("server.pem"));
        assert_beats(&directory, &server, &directory.pinning("server"));
        assert!(curl_takes(&server, &directory.pin("server")));
    }
}

/// The `tls` section of a device with the client certificate `NAME.pem`, if any.
fn showing(directory: &Directory, name: Option<&str>) -> Value {
    let mut tls = directory.trusting("server.pem");
    if let Some(name) = name {
        tls["client_cert"] = json!(directory.path(&format!("{name}.pem")));
        tls["client_key"] = json!(directory.path(&format!("{name}.key")));
    }
    tls
}

#[test]
fn missing_client_certificate_is_recognized_with_every_server() {
    let directory = Directory::new("client");
    directory.self_signed("server", &format!("{RSA} {LOCALHOST}"));
    directory.self_signed("camera", &format!("{P256} -subj /CN=camera-1"));
    directory.self_signed("stranger", &format!("{P256} -subj /CN=camera-2"));
    let (wanted, refused) =
        ("wants a client certificate", "does not accept our client certificate");
    type Start = fn(&Directory, &str) -> Server;
    for (start, options, without, with_another) in [
        (
            Server::nginx as Start,
            "ssl_verify_client on; ssl_client_certificate camera.pem;",
            "HTTP 400",
            "HTTP 400",
        ),
        (
            Server::haproxy,
            "verify required ca-file camera.pem",
            "certificate_required",
            "unknown_ca",
        ),
        (Server::apache, "SSLVerifyClient require\nSSLCACertificateFile camera.pem", "", ""),
    ] {
        let server = start(&directory, options);
        let (acknowledged, log) = beat(&directory, &server, &showing(&directory, Some("camera")));
        assert!(acknowledged, "{options}: {log}");
        assert_fails(&directory, &server, &showing(&directory, None), &[wanted, without]);
        let another = showing(&directory, Some("stranger"));
        if with_another.is_empty() {
            assert_fails(&directory, &server, &another, &[]);
        } else {
            assert_fails(&directory, &server, &another, &[refused, with_another]);
        }
    }
    // A server that refuses by a rule does not name the rule.
    let server =
        Server::haproxy(&directory, "verify optional crt-ignore-err all ca-file camera.pem");
    assert_beats(&directory, &server, &showing(&directory, Some("camera")));
    for (name, words) in [
        (None, "there is none to show (tls.client_cert)"),
        (Some("stranger"), "the server may not accept it"),
    ] {
        assert_fails(&directory, &server, &showing(&directory, name), &["403", words]);
    }
}

#[test]
fn refusals_that_do_not_name_the_certificate_are_reported() {
    let directory = Directory::new("other-400");
    directory.self_signed("server", &format!("{RSA} {LOCALHOST}"));
    directory.self_signed("camera", &format!("{P256} -subj /CN=camera-1"));
    let rule =
        "ssl_verify_client optional_no_ca; if ($request_method = POST) { return 400 'no seq'; }";
    let server = Server::nginx(&directory, rule);
    for (name, words) in [
        (None, "there is none to show (tls.client_cert)"),
        (Some("camera"), "the server may not accept it"),
    ] {
        assert_fails(&directory, &server, &showing(&directory, name), &["400", words]);
    }
}

#[test]
fn client_certificate_requested_after_the_handshake_is_reported() {
    let directory = Directory::new("late");
    directory.self_signed("server", &format!("{RSA} {LOCALHOST}"));
    directory.self_signed("camera", &format!("{P256} -subj /CN=camera-1"));
    let location =
        "SSLCACertificateFile camera.pem\n<Location />\nSSLVerifyClient require\n</Location>\n";
    for (version, words) in [
        ("TLSv1.2", ["wants a client certificate", ""]),
        ("TLSv1.3", ["403", "the handshake did not ask for tls.client_cert"]),
    ] {
        let server =
            Server::apache(&directory, &format!("SSLProtocol -all +{version}\n{location}"));
        assert_fails(&directory, &server, &showing(&directory, Some("camera")), &words);
    }
}
