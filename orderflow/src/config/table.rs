//! The table of settings. A line of it declares a setting once; the structs, how they are read, what `orderflow config` and
//! the example file show all come from that line.

use toml::Value;

use super::{Source, load::Reader};

/// What is known of a setting without any configuration.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name: `http.listen`. In the environment that is `ORDERFLOW_HTTP__LISTEN`, in a file `listen` under `[http]`.
    pub key: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// What it is unless somebody sets it, as it is written in a variable.
    pub default: &'static str,
    allowed: fn() -> String,
}

impl Setting {
    pub(super) const fn new(
        key: &'static str,
        doc: &'static str,
        default: &'static str,
        allowed: fn() -> String,
    ) -> Self {
        Self { key, doc, default, allowed }
    }

    /// What it may be, to follow "must be".
    pub fn allowed(&self) -> String {
        (self.allowed)()
    }

    /// The section and the name in it. The section of `data_dir` is empty.
    pub fn section_and_name(&self) -> (&'static str, &'static str) {
        self.key.split_once('.').unwrap_or(("", self.key))
    }

    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        variable(self.key)
    }
}

pub(super) fn variable(key: &str) -> String {
    format!("{}{}", super::load::PREFIX, key.replace('.', "__").to_uppercase())
}

/// A setting and what it is.
#[derive(Debug, Clone)]
pub struct Effective {
    /// Which.
    pub setting: &'static Setting,
    /// Its value, in the notation of a file.
    pub value: Value,
    /// Whether something secret was masked, so that the value is not what the service has.
    pub masked: bool,
    /// Where it comes from.
    pub source: Source,
}

/// What the table's structs can do beside being read.
pub(super) trait Table: Sized {
    /// Reads every setting. What cannot be read is reported to the reader, and its default taken for it.
    fn read(reader: &mut Reader<'_>) -> Self;

    /// Every setting in the order of the table.
    fn effective(&self, source: &dyn Fn(&str) -> Source) -> Vec<Effective>;
}

macro_rules! settings {
    (
        $(#[doc = $top_doc:literal])*
        $Top:ident {
            $($(#[doc = $leaf_doc:literal])* $leaf:ident: $Leaf:ty = $leaf_kind:expr, $leaf_default:literal;)*
        }
        $($(#[doc = $section_doc:literal])*
        $section:ident: $Section:ident {
            $($(#[doc = $doc:literal])* $field:ident: $Field:ty = $kind:expr, $default:literal;)*
        })*
    ) => {
        $(#[doc = $top_doc])*
        #[derive(Debug, Clone)]
        pub struct $Top {
            $($(#[doc = $leaf_doc])* pub $leaf: $Leaf,)*
            $($(#[doc = $section_doc])* pub $section: $Section,)*
        }

        $($(#[doc = $section_doc])*
        #[derive(Debug, Clone)]
        pub struct $Section {
            $($(#[doc = $doc])* pub $field: $Field,)*
        })*

        /// Every setting.
        pub static SETTINGS: &[$crate::config::Setting] = &[
            $($crate::config::Setting::new(
                stringify!($leaf),
                concat!($($leaf_doc),*),
                $leaf_default,
                || $crate::config::kinds::Kind::<$Leaf>::allowed(&$leaf_kind),
            ),)*
            $($($crate::config::Setting::new(
                concat!(stringify!($section), ".", stringify!($field)),
                concat!($($doc),*),
                $default,
                || $crate::config::kinds::Kind::<$Field>::allowed(&$kind),
            ),)*)*
        ];

        /// Every section and what it is about.
        pub(crate) static SECTIONS: &[(&str, &str)] = &[$((stringify!($section), concat!($($section_doc),*)),)*];

        impl $crate::config::table::Table for $Top {
            fn read(reader: &mut $crate::config::load::Reader<'_>) -> Self {
                Self {
                    $($leaf: reader.take(stringify!($leaf), &$leaf_kind),)*
                    $($section: $Section {
                        $($field: reader.take(concat!(stringify!($section), ".", stringify!($field)), &$kind),)*
                    },)*
                }
            }

            fn effective(
                &self,
                source: &dyn Fn(&str) -> $crate::config::Source,
            ) -> Vec<$crate::config::Effective> {
                let mut settings = SETTINGS.iter();
                let mut all = Vec::with_capacity(SETTINGS.len());
                $(all.extend($crate::config::table::effective(&mut settings, &self.$leaf, &$leaf_kind, source));)*
                $($(all.extend($crate::config::table::effective(
                    &mut settings, &self.$section.$field, &$kind, source,
                ));)*)*
                all
            }
        }
    };
}
pub(super) use settings;

/// The next setting of the table with its value.
pub(super) fn effective<T>(
    settings: &mut std::slice::Iter<'static, Setting>,
    value: &T,
    kind: &impl super::kinds::Kind<T>,
    source: &dyn Fn(&str) -> Source,
) -> Option<Effective> {
    let setting = settings.next()?;
    Some(Effective { setting, value: kind.show(value), masked: kind.masks(value), source: source(setting.key) })
}
