//! Colours that a tenant may choose: written as `#rrggbb`, and readable on every surface of the dashboard (WCAG 2.2, 1.4.3).
//!
//! The surfaces are those of `packages/tokens/src/tokens.css`; a test compares them.

use plasma_kernel::{Error, Result};

/// What text needs at least.
const CONTRAST_MIN: f64 = 4.5;
/// How much of the accent is mixed into the surface behind a mark, as the dashboard does.
const SOFT_PERCENT: u32 = 10;
/// A colour that does not fit is mixed with black or white in steps of so many percent, to name one that does.
const STEP_PERCENT: u32 = 5;

/// The pages that a colour is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    Light,
    Dark,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Color([u8; 3]);

impl Theme {
    /// What the accent is written on: paper, raised, sunken.
    fn surfaces(self) -> [Color; 3] {
        match self {
            Self::Light => [Color([0xf4, 0xf4, 0xef]), Color([0xfc, 0xfc, 0xf9]), Color([0xea, 0xea, 0xe3])],
            Self::Dark => [Color([0x13, 0x15, 0x19]), Color([0x1a, 0x1d, 0x22]), Color([0x0d, 0x0f, 0x12])],
        }
    }

    /// What is written on the accent.
    fn on_accent(self) -> Color {
        match self {
            Self::Light => Color([0xff, 0xff, 0xff]),
            Self::Dark => Color([0x0e, 0x13, 0x30]),
        }
    }

    fn raised(self) -> Color {
        let [_, raised, _] = self.surfaces();
        raised
    }

    /// Towards which a colour gains contrast.
    fn towards(self) -> Color {
        match self {
            Self::Light => Color([0, 0, 0]),
            Self::Dark => Color([0xff, 0xff, 0xff]),
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

impl Color {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#')?;
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let number = u32::from_str_radix(digits, 16).ok()?;
        let [_, red, green, blue] = number.to_be_bytes();
        Some(Self([red, green, blue]))
    }

    fn text(self) -> String {
        let Self([red, green, blue]) = self;
        format!("#{red:02x}{green:02x}{blue:02x}")
    }

    /// The relative luminance of WCAG 2.2.
    fn luminance(self) -> f64 {
        let Self(channels) = self;
        let [red, green, blue] = channels.map(|channel| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// `percent` of this colour and the rest of the other.
    fn mixed(self, percent: u32, other: Self) -> Self {
        let (Self(ours), Self(theirs)) = (self, other);
        let mut mixed = [0; 3];
        for ((mixed, ours), theirs) in mixed.iter_mut().zip(ours).zip(theirs) {
            let sum = u32::from(ours) * percent + u32::from(theirs) * (100 - percent.min(100));
            *mixed = u8::try_from((sum + 50) / 100).unwrap_or(u8::MAX);
        }
        Self(mixed)
    }

    /// The lowest contrast that this accent has anywhere, and on what.
    fn weakest(self, theme: Theme) -> (f64, Self) {
        let soft = self.mixed(SOFT_PERCENT, theme.raised());
        let others = theme.surfaces().into_iter().chain([soft, theme.on_accent()]);
        others
            .map(|other| (self.contrast(other), other))
            .fold((f64::INFINITY, theme.raised()), |weakest, next| if next.0 < weakest.0 { next } else { weakest })
    }

    fn is_readable(self, theme: Theme) -> bool {
        self.weakest(theme).0 >= CONTRAST_MIN
    }

    /// The nearest colour of the same hue that can be read.
    fn readable(self, theme: Theme) -> Self {
        (0..=100 / STEP_PERCENT)
            .map(|step| self.mixed(100 - step * STEP_PERCENT, theme.towards()))
            .find(|color| color.is_readable(theme))
            .unwrap_or(theme.towards())
    }
}

/// Checks an accent for pages of this theme and returns it in lower case.
///
/// # Errors
/// `invalid` when it is no colour, or too weak to be read; the remedy then names one that is not.
pub(crate) fn accent(field: &str, text: &str, theme: Theme) -> Result<String> {
    let color = Color::parse(text.trim()).ok_or_else(|| {
        Error::invalid(field, "must be a colour written as `#` and six hexadecimal digits").remedy("such as #2238d0")
    })?;
    let (contrast, other) = color.weakest(theme);
    if contrast < CONTRAST_MIN {
        return Err(Error::invalid(
            field,
            format!(
                "{} on {} has a contrast of {contrast:.1}:1; text on {} pages needs {CONTRAST_MIN}:1",
                color.text(),
                other.text(),
                theme.noun()
            ),
        )
        .remedy(format!("choose a stronger colour, such as {}", color.readable(theme).text())));
    }
    Ok(color.text())
}

/// The accent of dark pages that fits the one of light pages.
pub(crate) fn dark_of(light: &str) -> Option<String> {
    Color::parse(light).map(|color| color.readable(Theme::Dark).text())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_six_digits_are_a_colour() {
        assert_eq!(accent("c", " #2238D0 ", Theme::Light).unwrap(), "#2238d0");
        for text in ["", "2238d0", "#2238d", "#2238d00", "#22g8d0", "red", "#+238d0", "url(x)", "#ffffff;}"] {
            let error = accent("accent_color", text, Theme::Light).unwrap_err();
            assert_eq!(error.field_name(), Some("accent_color"), "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_and_another_is_named() {
        for (text, theme) in [("#ffff00", Theme::Light), ("#8899ff", Theme::Light), ("#000080", Theme::Dark)] {
            let error = accent("c", text, theme).unwrap_err();
            let named = error.remedy_text().unwrap().rsplit(' ').next().unwrap().to_owned();
            assert_eq!(accent("c", &named, theme).unwrap(), named, "{text}");
        }
    }

    #[test]
    fn every_hue_has_a_form_that_can_be_read() {
        for number in (0..0x0100_0000_u32).step_by(0x0001_0f37) {
            let [_, red, green, blue] = number.to_be_bytes();
            for theme in [Theme::Light, Theme::Dark] {
                assert!(Color([red, green, blue]).readable(theme).is_readable(theme), "{number:06x} {theme:?}");
            }
        }
        assert_eq!(dark_of("nonsense"), None);
    }

    #[test]
    fn contrast_is_that_of_wcag() {
        let (black, white) = (Color([0; 3]), Color([255; 3]));
        assert!((black.contrast(white) - 21.0).abs() < 1e-9);
        // https://webaim.org/resources/contrastchecker/ says 4.54 for #767676 on white.
        assert!((Color([0x76; 3]).contrast(white) - 4.54).abs() < 0.01);
    }

    /// The dashboard's own colours, so that the two never drift apart.
    #[test]
    fn the_surfaces_are_those_of_the_dashboard() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packages/tokens/src/tokens.css");
        let css = std::fs::read_to_string(path).unwrap();
        let pair = |name: &str| {
            let line = css.lines().find(|line| line.trim().starts_with(&format!("--{name}: light-dark("))).unwrap();
            let values = line.split_once("light-dark(").unwrap().1.split_once(')').unwrap().0;
            let (light, dark) = values.split_once(", ").unwrap();
            (Color::parse(light).unwrap(), Color::parse(dark).unwrap())
        };
        for (index, name) in ["paper", "raised", "sunken"].into_iter().enumerate() {
            assert_eq!(pair(name), (Theme::Light.surfaces()[index], Theme::Dark.surfaces()[index]), "{name}");
        }
        assert_eq!(pair("on-accent"), (Theme::Light.on_accent(), Theme::Dark.on_accent()));
        let (light, dark) = pair("accent");
        assert!(light.is_readable(Theme::Light) && dark.is_readable(Theme::Dark));
    }
}
