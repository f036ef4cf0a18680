/// Rows of text under a row of names.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    names: [&'static str; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(crate) const fn new(names: [&'static str; N]) -> Self {
        Self { names, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, row: [String; N]) {
        self.rows.push(row);
    }

    /// In columns, for a person.
    pub(crate) fn text(&self) -> String {
        let mut widths = self.names.map(|name| name.chars().count());
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |cells: &[&str; N]| {
            let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let rows = self.rows.iter().map(|row| line(&row.each_ref().map(String::as_str)));
        std::iter::once(line(&self.names)).chain(rows).collect::<Vec<_>>().join("\n")
    }

    /// As comma-separated values (RFC 4180).
    pub(crate) fn csv(&self) -> anyhow::Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(self.names)?;
        for row in &self.rows {
            writer.write_record(row)?;
        }
        Ok(String::from_utf8(writer.into_inner()?)?.trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_for_people_and_quoted_for_programs() {
        let mut table = Table::new(["name", "n"]);
        table.row(["a".to_owned(), "10".to_owned()]);
        table.row(["b, \"c\"".to_owned(), String::new()]);
        assert_eq!(table.text(), "name    n\na       10\nb, \"c\"");
        assert_eq!(table.csv().unwrap(), "name,n\na,10\n\"b, \"\"c\"\"\",");
    }
}
