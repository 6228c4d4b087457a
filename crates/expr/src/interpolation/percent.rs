//! Python's two ways to fill in a text: `'%s of %d' % (a, b)` and `'{} of {:02d}'.format(a, b)`.
//! It must not pad without limit: widths have a largest size.

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, ErrorKind};

use super::operators::{fits, mismatch, wrong};
use super::python::{items_of, repr, str_of};
use crate::bounds::WIDTH_MAX;

/// How one value is laid out.
#[derive(Debug, Default)]
struct Layout {
    fill: Option<char>,
    align: Option<char>,
    sign: Option<char>,
    has_commas: bool,
    width: usize,
    precision: Option<usize>,
    kind: Option<char>,
}

/// `format % values`: a tuple fills several places, a map those with names, anything else a single one.
pub(super) fn write(format: &str, values: &Value) -> Result<String, Error> {
    let many = values.is_tuple().then(|| items_of(values));
    let mut values_left = many.unwrap_or_else(|| vec![values.clone()]).into_iter();
    let mut text = String::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            text.push('%');
            rest = after;
            continue;
        }
        let (name, after) = match after.strip_prefix('(').and_then(|named| named.split_once(')')) {
            Some((name, after)) => (Some(name), after),
            None => (None, after),
        };
        let (layout, after) = percent_layout(after)?;
        let value = match name {
            Some(name) => values.get_item(&Value::from(name))?,
            None => values_left.next().ok_or_else(|| mismatch("the text has more places than there are values"))?,
        };
        text.push_str(&lay_out(&value, &layout)?);
        fits(text.len())?;
        rest = after;
    }
    text.push_str(rest);
    let is_counted =
        values.is_tuple() || matches!(values.kind(), ValueKind::String | ValueKind::Number | ValueKind::Bool);
    if is_counted && values_left.next().is_some() {
        return Err(mismatch("the text has fewer places than there are values"));
    }
    Ok(text)
}

/// Reads `-08.2f` and what follows.
fn percent_layout(text: &str) -> Result<(Layout, &str), Error> {
    let flags = text.find(|c| !"-+ 0#".contains(c)).unwrap_or(text.len());
    let (flags, rest) = text.split_at(flags);
    let (width, rest) = number(rest)?;
    let (precision, rest) = match rest.strip_prefix('.') {
        Some(rest) => number(rest).map(|(precision, rest)| (Some(precision.unwrap_or(0)), rest))?,
        None => (None, rest),
    };
    let kind = rest.chars().next().ok_or_else(|| wrong("the text ends in the middle of a `%` place"))?;
    let is_zero = flags.contains('0') && !flags.contains('-') && kind != 's';
    let layout = Layout {
        fill: is_zero.then_some('0'),
        align: Some(if flags.contains('-') { '<' } else { '>' }),
        sign: flags.chars().find(|c| matches!(c, '+' | ' ')),
        has_commas: false,
        width: width.unwrap_or(0),
        precision,
        kind: Some(kind),
    };
    Ok((layout, rest.get(kind.len_utf8()..).unwrap_or_default()))
}

fn number(text: &str) -> Result<(Option<usize>, &str), Error> {
    let length = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(length);
    if digits.is_empty() {
        return Ok((None, rest));
    }
    let number = digits.parse().ok().filter(|number| *number <= WIDTH_MAX);
    let number =
        number.ok_or_else(|| wrong(format!("`{digits}` is too wide; at most {WIDTH_MAX} letters are filled up")))?;
    Ok((Some(number), rest))
}

/// `text.format(...)`: places by order, by number and by name, each with its layout.
pub(super) fn fill(format: &str, values: &[Value], named: &Kwargs) -> Result<String, Error> {
    let mut text = String::new();
    let mut next = 0;
    let mut letters = format.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        if !matches!(letter, '{' | '}') {
            text.push(letter);
            continue;
        }
        if letters.next_if(|(_, other)| *other == letter).is_some() {
            text.push(letter);
            continue;
        }
        let rest = format.get(at + 1..).unwrap_or_default();
        let place = (letter == '{').then(|| rest.split_once('}')).flatten();
        let (place, _) = place.ok_or_else(|| wrong("a brace of the text has no partner; write `{{` for a brace"))?;
        letters.by_ref().nth(place.chars().count());
        let (field, layout) = place.split_once(':').unwrap_or((place, ""));
        let (field, is_repr) =
            field.strip_suffix("!r").map_or((field.trim_end_matches("!s"), false), |field| (field, true));
        let value = find(field, values, named, &mut next)?;
        let value = if is_repr { Value::from(repr(&value)) } else { value };
        text.push_str(&lay_out(&value, &brace_layout(layout)?)?);
        fits(text.len())?;
    }
    Ok(text)
}

/// The value of a place: nothing (the next one), `0`, `name`, `name.part` or `0[part]`.
fn find(field: &str, values: &[Value], named: &Kwargs, next: &mut usize) -> Result<Value, Error> {
    let end = field.find(['.', '[']).unwrap_or(field.len());
    let (first, path) = field.split_at(end);
    let missing = || wrong(format!("the text has a place `{field}` for which there is no value"));
    let mut value = if first.is_empty() {
        *next += 1;
        values.get(*next - 1).cloned().ok_or_else(missing)?
    } else if let Ok(index) = first.parse::<usize>() {
        values.get(index).cloned().ok_or_else(missing)?
    } else {
        named.get::<Value>(first).map_err(|_absent| missing())?
    };
    for part in path.split(['.', '[']).filter(|part| !part.is_empty()) {
        let part = part.trim_end_matches(']');
        let key = part.parse::<usize>().map_or_else(|_name| Value::from(part), Value::from);
        value = value.get_item(&key)?;
    }
    Ok(value)
}

/// Reads `*>+08,.2f`.
fn brace_layout(text: &str) -> Result<Layout, Error> {
    let mut layout = Layout::default();
    let mut rest = text;
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(fill), Some(align @ ('<' | '>' | '^'))) => {
            (layout.fill, layout.align) = (Some(fill), Some(align));
            rest = text.get(fill.len_utf8() + 1..).unwrap_or_default();
        }
        (Some(align @ ('<' | '>' | '^')), _) => {
            layout.align = Some(align);
            rest = text.get(1..).unwrap_or_default();
        }
        _ => {}
    }
    if let Some(sign) = rest.chars().next().filter(|c| matches!(c, '+' | '-' | ' ')) {
        layout.sign = Some(sign).filter(|sign| *sign != '-');
        rest = rest.get(1..).unwrap_or_default();
    }
    if rest.starts_with('0') && layout.fill.is_none() {
        layout.fill = Some('0');
    }
    let (width, mut rest) = number(rest)?;
    layout.width = width.unwrap_or(0);
    if let Some(after) = rest.strip_prefix(',') {
        (layout.has_commas, rest) = (true, after);
    }
    if let Some(after) = rest.strip_prefix('.') {
        let (precision, after) = number(after)?;
        (layout.precision, rest) = (precision, after);
    }
    layout.kind = rest.chars().next();
    Ok(layout)
}

fn lay_out(value: &Value, layout: &Layout) -> Result<String, Error> {
    let is_number = matches!(value.kind(), ValueKind::Number | ValueKind::Bool);
    let body = match layout.kind {
        Some('d' | 'i' | 'u') if is_number => whole(value)?.to_string(),
        Some('x') if is_number => format!("{:x}", whole(value)?),
        Some('X') if is_number => format!("{:X}", whole(value)?),
        Some('o') if is_number => format!("{:o}", whole(value)?),
        Some('f' | 'F') if is_number => format!("{:.*}", layout.precision.unwrap_or(6), float(value)?),
        Some('%') if is_number => format!("{:.*}%", layout.precision.unwrap_or(6), float(value)? * 100.0),
        Some('g' | 'G') if is_number => float(value)?.to_string(),
        Some('e' | 'E') if is_number => {
            let text = format!("{:.*e}", layout.precision.unwrap_or(6), float(value)?);
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
            format!("{mantissa}e{sign}{exponent:0>2}")
        }
        Some('r') => repr(value),
        Some('s') | None => {
            let text = str_of(value);
            if let (Some(precision), false) = (layout.precision, is_number) {
                text.chars().take(precision).collect()
            } else {
                text
            }
        }
        Some(kind) => return Err(mismatch(format!("a {} is not written as `{kind}`", value.kind()))),
    };
    let is_written = is_number && layout.kind != Some('s');
    Ok(pad(&if layout.has_commas { with_commas(&body) } else { body }, layout, is_written))
}

fn pad(body: &str, layout: &Layout, is_number: bool) -> String {
    let body = match layout.sign {
        Some(sign) if is_number && !body.starts_with('-') => format!("{sign}{body}"),
        _ => body.to_owned(),
    };
    let missing = layout.width.saturating_sub(body.chars().count());
    let fill = layout.fill.unwrap_or(' ');
    let run = |count: usize| fill.to_string().repeat(count);
    if fill == '0' && is_number {
        let digits = body.find(|c: char| c.is_ascii_digit()).unwrap_or(0);
        let (sign, digits) = body.split_at(digits);
        return format!("{sign}{}{digits}", run(missing));
    }
    match layout.align.unwrap_or(if is_number { '>' } else { '<' }) {
        '<' => format!("{body}{}", run(missing)),
        '^' => format!("{}{body}{}", run(missing / 2), run(missing - missing / 2)),
        _ => format!("{}{body}", run(missing)),
    }
}

fn with_commas(body: &str) -> String {
    let (whole, fraction) =
        body.split_once('.').map_or((body, String::new()), |(whole, rest)| (whole, format!(".{rest}")));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{sign}{text}{fraction}")
}

fn whole(value: &Value) -> Result<i64, Error> {
    if value.kind() == ValueKind::Bool {
        return Ok(i64::from(value.is_true()));
    }
    #[expect(clippy::cast_possible_truncation, reason = "a float is written without its fraction, as Python does")]
    i64::try_from(value.clone()).or_else(|_float| float(value).map(|number| number as i64))
}

fn float(value: &Value) -> Result<f64, Error> {
    if value.kind() == ValueKind::Bool {
        return Ok(f64::from(u8::from(value.is_true())));
    }
    f64::try_from(value.clone()).map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
}
