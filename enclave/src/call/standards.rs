//! The token standards' functions that change something, so that a manifest need not bring their
//! ABIs. Each is the subject of an EIP; nothing that a token merely may have belongs here, but for
//! the two allowance functions that OpenZeppelin's ERC20 made common.

use super::abi::{self, Signature};
use super::{Abi, Function};
use nitro_signer_shared::json::FieldError;

/// The standards by name. Arguments are called as in their EIPs, without the leading underscore
/// and with `amount` for a number of tokens that is moved or approved by the standard itself.
pub(super) const TABLES: &[(&str, &[Signature])] =
    &[("erc20", ERC20), ("erc721", ERC721), ("erc1155", ERC1155)];

/// EIP-20 and, from `increaseAllowance` on, OpenZeppelin's ERC20 (until 4.9) and EIP-2612.
const ERC20: &[Signature] = &[
    ("transfer", &[("address", "to"), ("uint256", "amount")]),
    ("approve", &[("address", "spender"), ("uint256", "amount")]),
    ("transferFrom", &[("address", "from"), ("address", "to"), ("uint256", "amount")]),
    ("increaseAllowance", &[("address", "spender"), ("uint256", "addedValue")]),
    ("decreaseAllowance", &[("address", "spender"), ("uint256", "subtractedValue")]),
    (
        "permit",
        &[
            ("address", "owner"),
            ("address", "spender"),
            ("uint256", "value"),
            ("uint256", "deadline"),
            ("uint8", "v"),
            ("bytes32", "r"),
            ("bytes32", "s"),
        ],
    ),
];

/// EIP-721.
const ERC721: &[Signature] = &[
    ("approve", &[("address", "approved"), ("uint256", "tokenId")]),
    ("setApprovalForAll", &[("address", "operator"), ("bool", "approved")]),
    ("transferFrom", &[("address", "from"), ("address", "to"), ("uint256", "tokenId")]),
    ("safeTransferFrom", &[("address", "from"), ("address", "to"), ("uint256", "tokenId")]),
    (
        "safeTransferFrom",
        &[("address", "from"), ("address", "to"), ("uint256", "tokenId"), ("bytes", "data")],
    ),
];

/// EIP-1155.
const ERC1155: &[Signature] = &[
    (
        "safeTransferFrom",
        &[
            ("address", "from"),
            ("address", "to"),
            ("uint256", "id"),
            ("uint256", "amount"),
            ("bytes", "data"),
        ],
    ),
    (
        "safeBatchTransferFrom",
        &[
            ("address", "from"),
            ("address", "to"),
            ("uint256[]", "ids"),
            ("uint256[]", "amounts"),
            ("bytes", "data"),
        ],
    ),
    ("setApprovalForAll", &[("address", "operator"), ("bool", "approved")]),
];

/// The ABI that a table stands for.
pub(super) fn read(table: &[Signature]) -> Result<Abi, FieldError> {
    let functions = table.iter().map(abi::function_of);
    abi::index(functions.collect::<Result<Vec<Function>, _>>()?)
}
