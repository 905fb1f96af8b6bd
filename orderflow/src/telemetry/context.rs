//! Where a trace stands, as W3C Trace Context writes it: `00-TRACE-SPAN-FLAGS`.

use std::{fmt, str::FromStr};

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// A trace, the span in it that others are children of, and whether the trace is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace. Never zero.
    pub trace: TraceId,
    /// The span. Never zero.
    pub span: SpanId,
    /// Whether somebody keeps the trace.
    pub sampled: bool,
}

/// Why a text is no trace context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no W3C trace context, such as 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]
pub struct NoTraceContext;

impl TraceContext {
    /// The length of its text, in bytes.
    pub const LENGTH: usize = 55;

    /// A trace of its own.
    pub fn root(sampled: bool) -> Self {
        Self {
            trace: TraceId::from_bytes(fastrand::u128(1..).to_be_bytes()),
            span: SpanId::from_bytes(fastrand::u64(1..).to_be_bytes()),
            sampled,
        }
    }

    /// Another span of the same trace.
    pub fn child(self) -> Self {
        Self { span: SpanId::from_bytes(fastrand::u64(1..).to_be_bytes()), ..self }
    }

    /// As OpenTelemetry has it, of a span in this process or, `remote`, in another.
    pub(super) fn span_context(self, remote: bool) -> SpanContext {
        let flags = if self.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
        SpanContext::new(self.trace, self.span, flags, remote, TraceState::NONE)
    }

    /// Its text, without an allocation.
    pub fn text(self) -> [u8; Self::LENGTH] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        let mut write = |from: usize, bytes: &[u8]| {
            for (byte, digits) in bytes.iter().zip(text[from..].chunks_exact_mut(2)) {
                digits.copy_from_slice(&[
                    b"0123456789abcdef"[usize::from(byte >> 4)],
                    b"0123456789abcdef"[usize::from(byte & 15)],
                ]);
            }
        };
        write(3, &self.trace.to_bytes());
        write(36, &self.span.to_bytes());
        write(53, &[u8::from(self.sampled)]);
        text
    }
}

impl FromStr for TraceContext {
    type Err = NoTraceContext;

    /// Reads every version but the one that the standard forbids (`ff`). A later version may have more after the flags.
    fn from_str(text: &str) -> Result<Self, NoTraceContext> {
        let bytes = text.as_bytes();
        let rest_fits = match bytes.get(Self::LENGTH) {
            None => bytes.len() == Self::LENGTH,
            Some(next) => *next == b'-' && !text.starts_with("00"),
        };
        let dashes = rest_fits && [2, 35, 52].iter().all(|at| bytes[*at] == b'-');
        if !dashes {
            return Err(NoTraceContext);
        }
        let number = |from: usize, to: usize| -> Result<u128, NoTraceContext> {
            bytes[from..to].iter().try_fold(0, |number, digit| match digit {
                b'0'..=b'9' => Ok(number << 4 | u128::from(digit - b'0')),
                b'a'..=b'f' => Ok(number << 4 | u128::from(digit - b'a' + 10)),
                _ => Err(NoTraceContext),
            })
        };
        let (version, trace, span, flags) = (number(0, 2)?, number(3, 35)?, number(36, 52)?, number(53, 55)?);
        if version == 0xff || trace == 0 || span == 0 {
            return Err(NoTraceContext);
        }
        Ok(Self {
            trace: TraceId::from_bytes(trace.to_be_bytes()),
            span: SpanId::from_bytes((span as u64).to_be_bytes()),
            sampled: flags & 1 == 1,
        })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.text()).expect("digits and dashes"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn reads_what_it_writes() {
        let context: TraceContext = EXAMPLE.parse().unwrap();
        assert!(context.sampled);
        assert_eq!(context.to_string(), EXAMPLE);
        let root = TraceContext::root(false);
        assert_eq!(root.to_string().parse(), Ok(root));
        assert_ne!(root.child().span, root.span);
    }

    #[test]
    fn later_versions_may_have_more_and_flags_of_others_are_left_alone() {
        for (text, sampled) in [
            ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true),
            ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes", true),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-fe", false),
        ] {
            assert_eq!(text.parse::<TraceContext>().map(|context| context.sampled), Ok(sampled), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "00",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
        ] {
            assert_eq!(text.parse::<TraceContext>(), Err(NoTraceContext), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in "\\PC{0,80}") {
            if let Ok(context) = text.parse::<TraceContext>() {
                prop_assert_eq!(context.to_string().parse(), Ok(context));
            }
        }
    }
}
