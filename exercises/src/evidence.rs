//! Measured figures as the book shows them. `cargo xtask evidence` writes them to `book/evidence/<name>.json`; a page
//! shows one with `{{#evidence name}}`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One measured figure and where it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// What it shows, as a caption.
    pub title: String,
    /// The command that made it.
    pub command: String,
    /// Processor, cores, memory, operating system, compiler.
    pub machine: String,
    /// Day of the measurement, as `2026-11-21`.
    pub date: String,
    /// Commit that was measured; ends in `+` when the tree had changes.
    pub commit: String,
    /// What was measured: a digest for each file and directory, by its path below the course root. `cargo xtask evidence
    /// --check` compares them with what is there now. Evidence without any cannot be told to be up to date.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, String>,
    /// The figure.
    pub figure: Figure,
}

/// How measured values are shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Figure {
    /// Rows of text; the first column names the row.
    Table {
        /// Column headings.
        columns: Vec<String>,
        /// Cells; every row has as many as there are columns.
        rows: Vec<Vec<String>>,
    },
    /// Horizontal bars from zero.
    Bars {
        /// Unit of every value.
        unit: String,
        /// From top to bottom.
        bars: Vec<Bar>,
    },
    /// Lines over a shared axis.
    Lines {
        /// The horizontal axis.
        x: Axis,
        /// The vertical axis.
        y: Axis,
        /// From first to last in the legend.
        series: Vec<Series>,
    },
    /// A picture that a tool drew, such as a flamegraph: the name of a file beside the JSON.
    Svg {
        /// File name in `book/evidence/`.
        file: String,
        /// What the picture shows, for whoever cannot see it.
        alt: String,
    },
}

/// One bar of [`Figure::Bars`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// What was measured.
    pub label: String,
    /// The value.
    pub value: f64,
}

/// One axis of [`Figure::Lines`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    /// What it shows, with its unit.
    pub label: String,
    /// Whether it is logarithmic.
    #[serde(default)]
    pub log: bool,
}

/// One line of [`Figure::Lines`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Its name in the legend.
    pub label: String,
    /// Points `[x, y]`, by rising x.
    pub points: Vec<[f64; 2]>,
}
