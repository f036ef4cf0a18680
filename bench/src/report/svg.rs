use std::fmt::Write as _;

/// A drawing that is built up element by element. Colours follow the page's style sheet.
#[derive(Debug)]
pub(super) struct Svg {
    width: f64,
    height: f64,
    body: String,
}

impl Svg {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new() }
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        self.push(format_args!(
            r#"<line x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}" class="{class}"/>"#,
            from.0, from.1, to.0, to.1
        ));
    }

    pub(super) fn path(&mut self, points: &[(f64, f64)], class: &str) {
        let mut data = String::new();
        for (index, (x, y)) in points.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = write!(data, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' });
        }
        self.push(format_args!(r#"<path d="{data}" class="line {class}"/>"#));
    }

    pub(super) fn rect(&mut self, at: (f64, f64), size: (f64, f64), class: &str, title: &str) {
        self.push(format_args!(
            r#"<rect x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}" class="{class}"><title>{title}</title></rect>"#,
            at.0,
            at.1,
            size.0.max(0.8),
            size.1
        ));
    }

    pub(super) fn dot(&mut self, at: (f64, f64), class: &str, title: &str) {
        self.push(format_args!(
            r#"<circle cx="{:.1}" cy="{:.1}" r="3.5" class="{class}"><title>{title}</title></circle>"#,
            at.0, at.1
        ));
    }

    /// `anchor` is `start`, `middle` or `end`.
    pub(super) fn text(&mut self, at: (f64, f64), anchor: &str, text: &str) {
        self.push(format_args!(
            r#"<text x="{:.1}" y="{:.1}" text-anchor="{anchor}">{text}</text>"#,
            at.0, at.1
        ));
    }

    pub(super) fn finish(self) -> String {
        format!(
            r#"<svg viewBox="0 0 {} {}" width="{}" role="img">{}</svg>"#,
            self.width, self.height, self.width, self.body
        )
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.body.write_fmt(element);
        self.body.push('\n');
    }
}

/// From a range of values to a range of pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    from: (f64, f64),
    to: (f64, f64),
    logarithmic: bool,
}

impl Scale {
    pub(super) const fn linear(from: (f64, f64), to: (f64, f64)) -> Self {
        Self { from, to, logarithmic: false }
    }

    pub(super) const fn logarithmic(from: (f64, f64), to: (f64, f64)) -> Self {
        Self { from, to, logarithmic: true }
    }

    pub(super) fn at(&self, value: f64) -> f64 {
        let map = |value: f64| if self.logarithmic { value.max(1e-9).ln() } else { value };
        let (low, high) = (map(self.from.0), map(self.from.1));
        let share = (map(value.clamp(self.from.0, self.from.1)) - low) / (high - low).max(1e-12);
        share.mul_add(self.to.1 - self.to.0, self.to.0)
    }
}
