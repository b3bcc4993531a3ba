//! Base64 (RFC 4648 §4): decoder and encoder.

use core::fmt;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Decodes `text` into `room` and returns the number of bytes written. White space is skipped.
///
/// `None` if the text is malformed or `room` is too small. Padding is required, and bits that an
/// encoder leaves zero must be zero, so each value has exactly one text.
pub fn decode(text: &[u8], room: &mut [u8]) -> Option<usize> {
    // Bits that do not make a byte yet, and their number.
    let (mut bits, mut count) = (0_u32, 0_usize);
    // Bits that the padding declares unused: two for each `=`.
    let mut padded = 0;
    let mut length = 0;
    for letter in text.iter().filter(|byte| !byte.is_ascii_whitespace()) {
        if *letter == b'=' {
            padded += 2;
            continue;
        }
        let value = value(*letter).filter(|_| padded == 0)?;
        (bits, count) = (bits << 6 | value, count + 6);
        if count >= 8 {
            count -= 8;
            *room.get_mut(length)? = (bits >> count & 0xff) as u8;
            length += 1;
        }
    }
    // Six unused bits would be a letter that encodes no byte.
    let complete = padded == count && count < 6 && bits & ((1 << count) - 1) == 0;
    complete.then_some(length)
}

/// The six bits that a letter encodes.
const fn value(letter: u8) -> Option<u32> {
    Some(match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    } as u32)
}

/// `Display` writes the bytes as base64, with padding.
#[derive(Debug, Clone, Copy)]
pub struct Base64<'a>(pub &'a [u8]);

impl fmt::Display for Base64<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for bytes in self.0.chunks(3) {
            let bits = (0..3).fold(0, |bits, at| {
                bits << 8 | usize::from(bytes.get(at).copied().unwrap_or_default())
            });
            for at in 0..4 {
                let letter = ALPHABET.get(bits >> (18 - 6 * at) & 0x3f);
                let letter = letter.filter(|_| at <= bytes.len()).unwrap_or(&b'=');
                f.write_char(char::from(*letter))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &[u8]) -> Option<Vec<u8>> {
        let mut room = vec![0; text.len()];
        let length = decode(text, &mut room)?;
        room.truncate(length);
        Some(room)
    }

    #[test]
    fn rfc_vectors_encode_and_decode() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(Base64(bytes.as_bytes()).to_string(), text);
            assert_eq!(decoded(text.as_bytes()), Some(bytes.into()), "{text}");
        }
        assert_eq!(decoded(b" Z m9\r\n\tv\n"), Some(b"foo".into()));
    }

    #[test]
    fn every_byte_at_every_position_survives_a_round_trip() {
        for byte in 0..=u8::MAX {
            for length in 1..=5 {
                let bytes: Vec<u8> = (0..length).map(|at| byte.wrapping_mul(at + 1)).collect();
                let text = Base64(&bytes).to_string();
                assert_eq!(decoded(text.as_bytes()), Some(bytes), "{text}");
            }
        }
    }

    #[test]
    fn text_that_no_encoder_writes_is_rejected() {
        for text in [
            "Z", "A===", "Zg", "Zg=", "Zg===", "Zg==Zg==", "Zm8", "Zm8==", "Zm9v=", "=", "====",
            "Zh==", "Zm9=", "Zm9v!", "-_==", "Zm9vé",
        ] {
            assert_eq!(decoded(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn decoding_into_too_small_a_buffer_fails() {
        for room in 0..6 {
            let expected = (room >= 4).then_some(4);
            assert_eq!(decode(b"Zm9vYg==", &mut vec![0; room]), expected, "{room}");
        }
    }
}
