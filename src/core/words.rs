//! Enums whose variants are words.

/// Declares an enum and gives each variant its word, which `as_str` returns and `Display` writes.
///
/// `ALL` lists the variants. The number of each is its place there.
#[macro_export]
macro_rules! words {
    ($(#[$docs:meta])* pub enum $name:ident {
        $($(#[$variant_docs:meta])* $variant:ident = $word:literal,)+
    }) => {
        $(#[$docs])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_docs])* $variant,)+
        }

        impl $name {
            /// Every variant; the number of each is its place.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// The word for it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
