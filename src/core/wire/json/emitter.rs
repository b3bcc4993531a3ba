//! The emitter: it writes one object into a buffer of fixed size, member by member.

use core::fmt::{Display, Write};

use serde::{Serialize, Serializer};

use crate::wire::buffer::{Buffer, TooLarge};

/// Writes an object with these members into `buffer` and returns its length.
///
/// # Errors
///
/// [`TooLarge`] if `buffer` is too small; its content is then worthless.
pub fn emit(buffer: &mut [u8], members: impl Fn(&mut Emitter<'_>)) -> Result<usize, TooLarge> {
    let mut json = Emitter { to: Buffer::new(buffer), comma: false };
    json.value(&Object(members));
    json.to.end()
}

/// A JSON text in progress.
pub struct Emitter<'a> {
    /// The text so far.
    to: Buffer<'a>,
    /// Whether a comma must precede the next value.
    comma: bool,
}

/// A value that can be written.
pub trait Emit {
    /// Writes the value.
    fn emit(&self, json: &mut Emitter<'_>);
}

impl Emitter<'_> {
    /// Writes a member of the current object.
    pub fn member(&mut self, key: impl Display, value: &dyn Emit) -> &mut Self {
        self.separate();
        self.quote(&key);
        self.to.put(b":");
        self.comma = false;
        self.value(value)
    }

    /// As [`member`](Self::member), but leaves the member out for `None`.
    pub fn present(&mut self, key: &str, value: Option<impl Emit>) -> &mut Self {
        if let Some(value) = value {
            self.member(key, &value);
        }
        self
    }

    /// Writes several members with values of the same type.
    pub fn members<K: Display, T: Emit>(
        &mut self,
        members: impl IntoIterator<Item = (K, T)>,
    ) -> &mut Self {
        members.into_iter().for_each(|(key, value)| _ = self.member(key, &value));
        self
    }

    /// Writes an element of the current array.
    pub fn value(&mut self, value: &dyn Emit) -> &mut Self {
        self.separate();
        self.comma = false;
        value.emit(self);
        self.comma = true;
        self
    }

    fn separate(&mut self) {
        if self.comma {
            self.to.put(b",");
        }
    }

    /// Writes `text` literally.
    fn display(&mut self, text: &dyn Display) {
        // The buffer knows whether it is full.
        write!(self.to, "{text}").ok();
    }

    /// Writes `text` as a string.
    fn quote(&mut self, text: &dyn Display) {
        self.leaf(&Text(text));
    }

    /// Writes a string, a number or a truth value.
    fn leaf(&mut self, value: &impl Serialize) {
        self.to.put_by(|room| serde_json_core::to_slice(value, room));
    }
}

/// An object with the members that the function writes.
pub struct Object<F: Fn(&mut Emitter<'_>)>(pub F);

impl<F: Fn(&mut Emitter<'_>)> Emit for Object<F> {
    fn emit(&self, json: &mut Emitter<'_>) {
        json.to.put(b"{");
        (self.0)(json);
        json.to.put(b"}");
    }
}

/// An array of the values of an iterator.
pub struct Array<I>(pub I);

impl<I: Iterator<Item: Emit> + Clone> Emit for Array<I> {
    fn emit(&self, json: &mut Emitter<'_>) {
        json.to.put(b"[");
        self.0.clone().for_each(|value| _ = json.value(&value));
        json.to.put(b"]");
    }
}

/// A value as a string, by its `Display`.
pub struct Quoted<T>(pub T);

impl<T: Display> Emit for Quoted<T> {
    fn emit(&self, json: &mut Emitter<'_>) {
        json.quote(&self.0);
    }
}

/// A value without quotes, by its `Display`, which must be valid JSON.
pub struct Verbatim<T>(pub T);

impl<T: Display> Emit for Verbatim<T> {
    fn emit(&self, json: &mut Emitter<'_>) {
        json.display(&self.0);
    }
}

impl<T: Emit + ?Sized> Emit for &T {
    fn emit(&self, json: &mut Emitter<'_>) {
        (**self).emit(json);
    }
}

impl Emit for str {
    fn emit(&self, json: &mut Emitter<'_>) {
        json.quote(&self);
    }
}

impl<T: Emit> Emit for Option<T> {
    fn emit(&self, json: &mut Emitter<'_>) {
        match self {
            Some(value) => value.emit(json),
            None => json.to.put(b"null"),
        }
    }
}

/// A string by its `Display`.
struct Text<'a>(&'a dyn Display);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
    }
}

macro_rules! emit_leaf {
    ($($type:ty),*) => {$(
        impl Emit for $type {
            fn emit(&self, json: &mut Emitter<'_>) {
                json.leaf(self);
            }
        }
    )*};
}

emit_leaf!(bool, u8, u16, u32, u64);
