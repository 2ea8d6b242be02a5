"""Real representations of finite groups, as values that print as the string that makes them.

The strings, for `get`:

    trivial                  one number that nothing changes
    sign                     D_n: -1 on reflections; C_n with n even: (-1)^k on r^k
    sign_r, sign_rf          D_n with n even: -1 on r alone, and -1 on both r and f
    standard                 vectors (x, y) under C_n or D_n, and (x, y, z) under T, O, Oh, I, ...
    rotation(k)              planar vectors turned k times as far: r turns by 2 pi k / n
    regular                  functions on the group: rho(g) e_h = e_gh
    quotient(0,2)            functions on the cosets x H of the subgroup H = {0, 2}, ordered by
                             their least elements
    permutation(3,0,1,2)     basis vectors exchanged by the generator r of C_n: e_i -> e_p[i]; for
                             D_n that for f follows: permutation(3,0,1,2;0,3,2,1)
    faces, corners           functions on those of a cube; see `actions.cube_permutations`
    sign + 2 standard        direct sums, in this order

Convolutions on a group become small matrix products; see `convolution_blocks.py`.
"""

import dataclasses
import difflib
import itertools
import re
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sen_tf.groups import actions, finite

TOLERANCE = 1e-9
_KINDS: dict[tuple[int, ...], str] = {(1, 1): "real", (2, 0): "complex", (4, -2): "quaternionic"}
_SIGNS = {  # the images of r, and of f
    "C": {"sign": [-1]},
    "D": {"sign": [1, -1], "sign_r": [-1, 1], "sign_rf": [-1, -1]},
}


@dataclasses.dataclass(frozen=True, eq=False, repr=False, init=False)
class Representation:
    """A homomorphism from a finite group to invertible real matrices.

    Two representations are equal when group, name and matrices are. `a + b` is the direct sum of
    two representations of one group.

    Args:
        group: a `FiniteGroup`, or a name.
        name: what the representation prints as; if `get` made it, the string that makes it.
        matrices: float64 of shape (|G|, dimension, dimension), read-only; `matrices[g]` is rho(g).

    Attributes:
        dimension: the number of rows of each matrix.

    Raises:
        ValueError: if the shape is another, or rho(g) rho(h) is not rho(gh) to 1e-9, or rho(0) not
            the identity.
    """

    group: finite.FiniteGroup
    name: str
    matrices: np.ndarray

    def __init__(self, group: finite.GroupLike, name: str, matrices: npt.ArrayLike) -> None:
        group = finite.get(group)
        array = np.array(matrices, dtype=np.float64)
        _check_homomorphism(group, name, array)
        array.flags.writeable = False
        for key, value in (("group", group), ("name", name), ("matrices", array)):
            object.__setattr__(self, key, value)

    @property
    def dimension(self) -> int:
        return self.matrices.shape[-1]

    @property
    def kind(self) -> str:
        """The numbers that commute with it: "real" | "complex" | "quaternionic", or "reducible".

        Read from the character chi: the mean of chi(g)^2 is the dimension of the commutant, 1, 2 or
        4 for an irreducible representation; the mean of chi(g^2) is the sum of the Frobenius-Schur
        indicators of its complex constituents, 1, 0 or -2.
        """
        character = np.trace(self.matrices, axis1=1, axis2=2)
        square = np.diagonal(self.group.product)
        means = np.mean(character**2), np.mean(character[square])
        return _KINDS.get(tuple(int(round(mean)) for mean in means), "reducible")

    def __add__(self, other: "Representation") -> "Representation":
        if not isinstance(other, Representation):
            return NotImplemented
        return _direct_sum([self, other])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Representation):
            return NotImplemented
        return (self.group, self.name) == (other.group, other.name) and np.array_equal(
            self.matrices, other.matrices
        )

    def __hash__(self) -> int:
        return hash((self.group, self.name))

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:
        return Representation, (self.group, self.name, self.matrices)


RepresentationLike: TypeAlias = Representation | str
"""A representation, or the string that makes it, such as `"sign + 2 standard"`."""


def get(representation: RepresentationLike, group: finite.GroupLike) -> Representation:
    """Returns the representation of `group` that a string describes; a value is returned as it is.

    Args:
        representation: a string such as "sign + 2 standard" (the module lists them), or a
            `Representation`.
        group: a `FiniteGroup`, or a name.

    Raises:
        ValueError: if the string makes no representation of `group`, or the value is not one of it.

    Example:
        >>> get("sign + standard + standard", "D4")
        sign + 2 standard
    """
    group = finite.get(group)
    if isinstance(representation, Representation):
        if representation.group != group:
            raise ValueError(
                f"Expected `representation` to be one of {group}; "
                f"received {representation!r}, a representation of {representation.group}"
            )
        return representation
    if not isinstance(representation, str):
        raise ValueError(
            "Expected `representation` to be a Representation or a string; "
            f"received representation={representation!r}"
        )
    return _direct_sum([_make(atom, group) for atom in _terms(representation)])


def irreps(group: finite.GroupLike) -> list[Representation]:
    """Returns the irreducible real representations of C_n or D_n, one of each class.

    The signs come first, then the rotations. Their `kind` is "complex" for the rotations of C_n and
    "real" for all others. ValueError for other groups.
    """
    letter, n = finite.family(group)
    even = n % 2 == 0
    signs = {"C": ["sign"] * even, "D": ["sign"] + ["sign_r", "sign_rf"] * even}[letter]
    names = ["trivial", *signs, *(f"rotation({k})" for k in range(1, (n + 1) // 2))]
    return [get(name, group) for name in names]


def irreducible_parts(group: finite.GroupLike) -> list[tuple[Representation, np.ndarray]]:
    """Returns orthonormal coordinates of functions on C_n or D_n, part by irreducible part.

    A part changes by its own representation: if x has the coordinates c[i] = sum_g basis[i, g] x[g]
    in it, then h x, (h x)[g] = x[h^-1 g], has rho(h) c. The copies h x of one x hence lie in a
    point where rho is trivial, in two opposite ones where it is a sign, and on a circle where it is
    a rotation. A rotation of D_n occurs twice; that the columns of rho stand for its two planes is
    a choice, the one of `convolution_blocks`.

    Args:
        group: C_n or D_n, or its name; ValueError for others.

    Returns:
        A list of pairs: the irreducible `Representation` rho, and its basis, a float64 array of
        shape (rho.dimension, |G|). All rows together form an orthogonal |G| x |G| matrix.

    Reference: Serre, *Linear Representations of Finite Groups*, sections 2.2 to 2.4.
    """
    return [
        (irrep, np.sqrt(irrep.dimension / irrep.group.order) * irrep.matrices[:, :, column].T)
        for irrep in irreps(group)
        for column in range(_multiplicity(irrep))
    ]


def _direct_sum(terms):
    group = terms[0].group
    for term in terms:
        if term.group != group:
            raise ValueError(
                f"Expected the terms of a direct sum to be representations of {group}; "
                f"received {term!r}, a representation of {term.group}"
            )
    ends = np.cumsum([term.dimension for term in terms])
    matrices = np.zeros((group.order, ends[-1], ends[-1]))
    for term, end in zip(terms, ends, strict=True):
        block = slice(end - term.dimension, end)
        matrices[:, block, block] = term.matrices
    return Representation(group, _sum_name(term.name for term in terms), matrices)


def _multiplicity(irrep):
    """The multiplicity of an irreducible representation of C_n or D_n among functions on it."""
    return irrep.dimension // {"real": 1, "complex": 2}[irrep.kind]


def _check_homomorphism(group, name, matrices):
    d = matrices.shape[-1] if matrices.size else 1
    if matrices.shape != (group.order, d, d):
        raise ValueError(
            f"Expected `matrices` of {name} to have shape ({group.order}, d, d), a square matrix "
            f"for each element of {group}; received matrices of shape {matrices.shape}"
        )
    errors = [np.abs(matrices[0] - np.eye(d)).max()]
    for rho, gh in zip(matrices, group.product, strict=True):
        errors.append(np.abs(rho @ matrices - matrices[gh]).max())
    if not np.max(errors) <= TOLERANCE:
        raise ValueError(
            f"Expected `matrices` of {name} to be a representation of {group}, with rho(g) rho(h) "
            f"= rho(gh) and rho(0) = 1; received matrices that miss this by {np.max(errors):.3g}"
        )


# From a string to matrices. A sum has terms, a term is an atom, perhaps after a count; an atom is a
# word, perhaps followed by lists of integers in brackets.


def _terms(name):
    """Returns the atoms of a sum as often as they are counted: "a + 2 b" gives ["a", "b", "b"]."""
    atoms = []
    for term in name.split("+"):
        [(count, atom)] = re.findall(r"^(?:([1-9]\d*)\s+)?(.*)", term.strip(), re.DOTALL)
        atoms += [atom] * int(count or 1)
    return atoms


def _sum_name(names):
    atoms = itertools.chain.from_iterable(_terms(name) for name in names)
    counts = ((atom, len(list(run))) for atom, run in itertools.groupby(atoms))
    return " + ".join(atom if count == 1 else f"{count} {atom}" for atom, count in counts)


def _make(atom, group):
    word, lists = _parse(atom)
    if word not in _MAKERS:
        nearest = difflib.get_close_matches(word, _MAKERS, n=1)
        hint = f" Did you mean {_MAKERS[nearest[0]][0]!r}?" if nearest else ""
        known = ", ".join(example for example, _ in _MAKERS.values())
        raise ValueError(
            f"Expected `representation` to be a sum of {known}; received {atom!r}.{hint}"
        )
    example, maker = _MAKERS[word]
    if bool(lists) != ("(" in example):
        raise ValueError(f"Expected {word!r} to be written like {example!r}; received {atom!r}")
    numbers = ";".join(",".join(map(str, numbers)) for numbers in lists)
    name = f"{word}({numbers})" if lists else word
    return Representation(group, name, maker(group, name, *lists))


def _parse(atom):
    """Returns the word and the lists: "permutation(1,0;0,1)" gives [[1, 0], [0, 1]]."""
    match = re.fullmatch(r"(\w+)(?:\((\s*\d+(?:\s*[,;]\s*\d+)*\s*)\))?", atom)
    if match is None:
        return atom, []
    word, brackets = match.groups()
    lists = brackets.split(";") if brackets else []
    return word, [[int(number) for number in numbers.split(",")] for numbers in lists]


def _trivial(group, name):
    return np.ones((group.order, 1, 1))


def _sign(group, name):
    letter, _ = finite.family(group)
    if name not in _SIGNS[letter]:
        raise ValueError(f"Expected a dihedral group for {name!r}; received group={group}")
    return _from_generators(group, name, [np.array([[image]]) for image in _SIGNS[letter][name]])


def _standard(group, name):
    return np.stack([actions.vector_matrix(group, g) for g in group.elements])


def _rotation(group, name, *lists):
    _, n = finite.family(group)
    frequency = lists[0][0]
    if name != f"rotation({frequency})" or not 0 < 2 * frequency < n:
        raise ValueError(
            f"Expected 'rotation(k)' of {group} to have 0 < k < {n}/2; received {name!r}"
        )
    # r -> r^k, f -> f is an endomorphism of the group: the standard representation after it.
    k, j = np.transpose([finite.normal_form(group, g) for g in group.elements])
    return _standard(group, name)[frequency * k % n + n * j]


def _regular(group, name):
    return _permutation_matrices(group.product)


def _on_cube(group, name):
    return _permutation_matrices(actions.cube_permutations(group, name))


def _quotient(group, name, *lists):
    subgroup = sorted(lists[0])
    closed = (
        subgroup[-1] < group.order
        and np.isin(group.product[np.ix_(subgroup, subgroup)], subgroup).all()
    )
    if len(lists) > 1 or len(set(subgroup)) < len(subgroup) or not closed:
        raise ValueError(
            f"Expected 'quotient(...)' to list the elements of a subgroup of {group}; "
            f"received {name!r}"
        )
    coset = group.product[:, subgroup].min(axis=1)  # x H, named by its least element
    cosets = np.unique(coset)
    return _permutation_matrices(np.searchsorted(cosets, coset[group.product[:, cosets]]))


def _permutation(group, name, *lists):
    if any(sorted(images) != list(range(len(lists[0]))) for images in lists):
        raise ValueError(
            "Expected 'permutation(...)' to list each of 0 .. d - 1 once for each generator; "
            f"received {name!r}"
        )
    return _from_generators(group, name, list(_permutation_matrices(np.array(lists))))


def _permutation_matrices(images):
    """Returns the matrices, (..., d, d), that send e_i to e_images[..., i]."""
    return np.swapaxes(np.eye(images.shape[-1])[images], -1, -2)


def _from_generators(group, name, generators):
    """Returns the matrices R^k F^j of the elements r^k f^j, given R (and F for D_n)."""
    letter, n = finite.family(group)
    orders = {"C": {"r": n}, "D": {"r": n, "f": 2}}[letter]
    if len(generators) != len(orders):
        raise ValueError(
            f"Expected {name!r} to give the image of each generator of {group}, "
            f"{' and '.join(orders)}; received {len(generators)}"
        )
    power = np.linalg.matrix_power
    for generator, (symbol, order) in zip(generators, orders.items(), strict=True):
        if not np.array_equal(power(generator, order), np.eye(len(generator))):
            raise ValueError(
                f"Expected {name!r} to have {symbol}^{order} = 1, as in {group}; "
                "received one that has not"
            )
    words = (finite.normal_form(group, g) for g in group.elements)
    return np.stack([power(generators[0], k) @ power(generators[-1], j) for k, j in words])


_MAKERS = {
    "trivial": ("trivial", _trivial),
    "sign": ("sign", _sign),
    "sign_r": ("sign_r", _sign),
    "sign_rf": ("sign_rf", _sign),
    "standard": ("standard", _standard),
    "rotation": ("rotation(1)", _rotation),
    "regular": ("regular", _regular),
    "faces": ("faces", _on_cube),
    "corners": ("corners", _on_cube),
    "quotient": ("quotient(0,2)", _quotient),
    "permutation": ("permutation(3,0,1,2)", _permutation),
}
