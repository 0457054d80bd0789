//! Reads a contract's ABI from the JSON array that compilers write, or says what to correct.
//!
//! Only functions matter: events, errors, the constructor, `fallback` and `receive` are passed
//! over, and so are a function's outputs and the fields that do not say how it is called. A type
//! is taken only as it stands in a signature that is hashed (`uint256`, never `uint`), and only if
//! its values can be decoded. This is our own reader because alloy's takes other spellings into
//! the selector as they stand, makes an enum of any dotted name, and does not say where it stopped.

use super::arguments::{MAX_VALUES, least_values};
use super::{Abi, Function};
use alloy_dyn_abi::DynSolType;
use alloy_primitives::keccak256;
use nitro_signer_shared::json::{self, FieldError, Object, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The most functions of one ABI; each becomes attributes of the policy's schema.
const MAX_FUNCTIONS: usize = 512;
/// The most arguments of a function. Solidity's stack ends it far earlier, but for structs.
const MAX_ARGUMENTS: usize = 64;
/// How deep arrays and tuples may nest. A call's reader calls itself this often.
const MAX_DEPTH: usize = 8;
/// The most types that a function's arguments name, members and elements counted.
const MAX_TYPES: usize = 256;
/// The largest size of a fixed array.
const MAX_FIXED: usize = 256;
/// The longest identifier, in bytes.
const MAX_IDENTIFIER: usize = 128;
/// How much of the file a sentence quotes, in characters.
const MAX_QUOTE: usize = 64;

/// A function as people write it: its name, and its arguments' types and names. Without tuples.
pub(super) type Signature = (&'static str, &'static [(&'static str, &'static str)]);

/// Reads an ABI.
pub(super) fn read(text: &str) -> Result<Abi, FieldError> {
    let value = json::read(text.as_bytes()).map_err(|refusal| FieldError(refusal.detail))?;
    let Value::Array(items) = value else {
        return Err(error("the file is not a JSON array; write the array under `abi`"));
    };
    let mut functions = Vec::new();
    for (place, item) in items.into_iter().enumerate() {
        let read = item.object("an entry").and_then(read_entry);
        functions.extend(read.map_err(|e| within(format!("entry {}", place + 1), &e))?);
    }
    index(functions)
}

/// The function of one of our own tables.
pub(super) fn function_of((name, arguments): &Signature) -> Result<Function, FieldError> {
    let arguments = arguments.iter().map(|(ty, name)| Ok(((*name).to_owned(), plain(ty, 0)?)));
    function((*name).to_owned(), arguments.collect::<Result<_, FieldError>>()?)
}

/// The ABI of these functions, if each can be told from the others.
pub(super) fn index(mut functions: Vec<Function>) -> Result<Abi, FieldError> {
    if functions.is_empty() {
        return Err(error("no function; write the ABI of the contract that is called"));
    }
    at_most("functions", functions.len(), MAX_FUNCTIONS)?;
    functions.sort_by_key(|function| function.selector);
    for pair in functions.windows(2) {
        if let [one, other] = pair
            && one.selector == other.selector
        {
            let (one, other) = (quote(&one.signature), quote(&other.signature));
            return Err(error(format!("{one} and {other} have the same selector; remove one")));
        }
    }
    name_overloads(&mut functions);
    distinct("functions", functions.iter().map(|function| function.name.as_str()))?;
    Ok(Abi(functions))
}

/// Gives functions that share a name one each.
fn name_overloads(functions: &mut [Function]) {
    let mut counts = BTreeMap::<String, usize>::new();
    for function in &*functions {
        *counts.entry(function.name.clone()).or_default() += 1;
    }
    for function in functions {
        if counts.get(&function.name).is_some_and(|count| *count > 1) {
            function.name = format!("{}_{}", function.name, hex::encode(function.selector));
        }
    }
}

/// The function that an entry of the array stands for, if it is one.
fn read_entry(mut entry: Object) -> Result<Option<Function>, FieldError> {
    match entry.require("type")?.string("`type`")?.as_str() {
        "function" => {}
        "event" | "error" | "constructor" | "fallback" | "receive" => return Ok(None),
        other => {
            let other = quote(other);
            return Err(error(format!("`type` is {other}; write the ABI as the compiler does")));
        }
    }
    let name = entry.require("name")?.string("`name`")?;
    let label = quote(&name);
    let inputs = entry.require("inputs").and_then(|inputs| inputs.array("`inputs`"));
    let function = inputs
        .and_then(|inputs| read_parameters(inputs, 0))
        .and_then(|arguments| function(name, arguments))
        .map_err(|e| within(label, &e))?;
    Ok(Some(function))
}

/// Checks a function's parts and computes its selector.
fn function(name: String, inputs: Vec<(String, DynSolType)>) -> Result<Function, FieldError> {
    check_identifier(&name)?;
    at_most("arguments", inputs.len(), MAX_ARGUMENTS)?;
    let types = || inputs.iter().map(|(_, ty)| ty);
    at_most("types in its arguments", types().map(count_types).sum(), MAX_TYPES)?;
    at_most("values in every call", types().map(least_values).sum(), MAX_VALUES)?;
    let mut signature = name.clone();
    write_list(types(), &mut signature);
    let [a, b, c, d, ..] = keccak256(&signature).0;
    Ok(Function { name, signature, selector: [a, b, c, d], inputs })
}

/// Reads a function's arguments or a tuple's members, `depth` levels down.
fn read_parameters(
    items: Vec<Value>,
    depth: usize,
) -> Result<Vec<(String, DynSolType)>, FieldError> {
    let mut parameters = Vec::new();
    for (place, item) in items.into_iter().enumerate() {
        let mut item = item.object("an argument")?;
        let name = item.take("name").map_or_else(|| Ok(String::new()), |n| n.string("`name`"))?;
        let name = if name.is_empty() { format!("arg{place}") } else { name };
        check_identifier(&name)?;
        let ty = read_type(item, depth).map_err(|e| within(quote(&name), &e))?;
        parameters.push((name, ty));
    }
    distinct("arguments", parameters.iter().map(|(name, _)| name.as_str()))?;
    Ok(parameters)
}

/// Reads the type of an argument or member that stands `depth` levels down.
fn read_type(mut item: Object, depth: usize) -> Result<DynSolType, FieldError> {
    let text = item.require("type")?.string("`type`")?;
    let members = item.take("components").map_or(Ok(vec![]), |c| c.array("`components`"))?;
    let Some(sizes) = text.strip_prefix("tuple") else {
        if !members.is_empty() {
            return Err(error(format!("{} has `components`; only a tuple has", quote(&text))));
        }
        return plain(&text, depth);
    };
    if members.is_empty() {
        return Err(error("a tuple without `components` has no value; write its members"));
    }
    let source = item.take("internalType").map(|s| s.string("`internalType`")).transpose()?;
    let name = source.as_deref().and_then(struct_name).unwrap_or_else(|| "tuple".to_owned());
    // This ends the recursion: each member stands a level deeper.
    let sizes = read_sizes(sizes, depth)?;
    let (prop_names, tuple) =
        read_parameters(members, depth + sizes.len() + 1)?.into_iter().unzip();
    array_of(DynSolType::CustomStruct { name, prop_names, tuple }, sizes)
}

/// The name of `struct Contract.Name[]`, as compilers write the type of the source.
fn struct_name(source: &str) -> Option<String> {
    let path = source.strip_prefix("struct ")?.split('[').next()?;
    let name = path.rsplit('.').next()?;
    check_identifier(name).ok()?;
    Some(name.to_owned())
}

/// Reads an elementary type or an array of it, for example `address` or `uint256[2][]`.
fn plain(text: &str, depth: usize) -> Result<DynSolType, FieldError> {
    let (name, sizes) = text.split_at(text.find('[').unwrap_or(text.len()));
    array_of(elementary(name)?, read_sizes(sizes, depth)?)
}

/// Wraps an element's type in arrays of these sizes, the innermost first.
fn array_of(element: DynSolType, sizes: Vec<Option<usize>>) -> Result<DynSolType, FieldError> {
    // An element of so many values would fit into no call, however short the array is.
    let fits = |ty: DynSolType| {
        at_most("values in one of this type", least_values(&ty), MAX_VALUES).map(|()| ty)
    };
    sizes.into_iter().try_fold(fits(element)?, |element, size| {
        let element = Box::new(element);
        fits(match size {
            Some(size) => DynSolType::FixedArray(element, size),
            None => DynSolType::Array(element),
        })
    })
}

/// Reads `[2][]` as `[Some(2), None]`, standing `depth` levels down.
fn read_sizes(mut text: &str, depth: usize) -> Result<Vec<Option<usize>>, FieldError> {
    let mut sizes = Vec::new();
    while !text.is_empty() {
        let (size, rest) = text
            .strip_prefix('[')
            .and_then(|inner| inner.split_once(']'))
            .ok_or_else(|| error(format!("{} is no array's size; write [] or [2]", quote(text))))?;
        sizes.push(if size.is_empty() { None } else { Some(read_size(size)?) });
        text = rest;
    }
    at_most("levels of arrays and tuples", depth + sizes.len(), MAX_DEPTH)?;
    Ok(sizes)
}

fn read_size(text: &str) -> Result<usize, FieldError> {
    let size = text.parse::<usize>().ok();
    let size = size.filter(|n| (1..=MAX_FIXED).contains(n) && n.to_string() == text);
    size.ok_or_else(|| error(format!("{} is no array's size; write 1 to {MAX_FIXED}", quote(text))))
}

fn elementary(name: &str) -> Result<DynSolType, FieldError> {
    if name == "function" {
        return Err(error("the type `function` is not served; remove this function"));
    }
    if name.starts_with("fixed") || name.starts_with("ufixed") {
        return Err(error(format!(
            "{}: fixed-point types are not served; remove this function",
            quote(name)
        )));
    }
    // alloy also reads other spellings, but only this one gives the right selector.
    let ty = is_identifier(name).then(|| DynSolType::parse(name).ok()).flatten();
    ty.filter(|ty| ty.sol_type_name() == name).ok_or_else(|| {
        error(format!(
            "{} is not how a signature writes a type; write one like uint256 or bytes32",
            quote(name)
        ))
    })
}

/// Appends `(address,uint256)`.
fn write_list<'t>(types: impl Iterator<Item = &'t DynSolType>, out: &mut String) {
    out.push('(');
    for (place, ty) in types.enumerate() {
        if place > 0 {
            out.push(',');
        }
        write_type(ty, out);
    }
    out.push(')');
}

/// Appends a type as a signature writes it. alloy's own text of a tuple of one has a comma more.
fn write_type(ty: &DynSolType, out: &mut String) {
    match ty {
        DynSolType::Array(element) => {
            write_type(element, out);
            out.push_str("[]");
        }
        DynSolType::FixedArray(element, size) => {
            write_type(element, out);
            out.push_str(&format!("[{size}]"));
        }
        DynSolType::CustomStruct { tuple, .. } => write_list(tuple.iter(), out),
        _ => out.push_str(&ty.sol_type_name()),
    }
}

fn count_types(ty: &DynSolType) -> usize {
    1 + match ty {
        DynSolType::Array(element) | DynSolType::FixedArray(element, _) => count_types(element),
        DynSolType::CustomStruct { tuple, .. } => tuple.iter().map(count_types).sum(),
        _ => 0,
    }
}

/// Whether Solidity takes it as a name.
fn is_identifier(text: &str) -> bool {
    let letter = |c: u8| c.is_ascii_alphabetic() || c == b'_' || c == b'$';
    text.bytes().all(|c| letter(c) || c.is_ascii_digit()) && text.bytes().next().is_some_and(letter)
}

fn check_identifier(name: &str) -> Result<(), FieldError> {
    if is_identifier(name) && name.len() <= MAX_IDENTIFIER {
        return Ok(());
    }
    Err(error(format!(
        "{} is no name; write at most {MAX_IDENTIFIER} letters, digits, _ and $",
        quote(name)
    )))
}

fn distinct<'n>(what: &str, names: impl Iterator<Item = &'n str>) -> Result<(), FieldError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            let name = quote(name);
            return Err(error(format!("two {what} are called {name}; give each its own name")));
        }
    }
    Ok(())
}

fn at_most(what: &str, count: usize, most: usize) -> Result<(), FieldError> {
    if count > most {
        return Err(error(format!("{count} {what} are more than {most}")));
    }
    Ok(())
}

fn error(reason: impl Into<String>) -> FieldError {
    FieldError(reason.into())
}

fn within(place: String, reason: &FieldError) -> FieldError {
    FieldError(format!("{place}: {reason}"))
}

/// The beginning of a foreign text.
fn quote(text: &str) -> String {
    format!("`{}`", text.escape_default().take(MAX_QUOTE).collect::<String>())
}
