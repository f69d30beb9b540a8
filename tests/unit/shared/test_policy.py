"""The policy file: shipped defaults, merging, and one line for every mistake."""

from datetime import date, time
from decimal import Decimal
from pathlib import Path

import pytest

from shared.errors import ConfigurationError
from shared.policy import Mode, Policy, TenantPolicy
from shared.policy_file import load_policy

SHIPPED = Path(__file__).parents[3] / "config" / "policy.yaml"


def load(tmp_path: Path, text: str) -> Policy:
    file = tmp_path / "policy.yaml"
    file.write_text(text, encoding="utf-8")
    return load_policy(file)


def refused(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    return str(caught.value).removeprefix(f"{tmp_path}/")


def test_the_shipped_file_says_what_the_code_defaults_to() -> None:
    assert load_policy(SHIPPED) == Policy()


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, "") == Policy()
    assert load(tmp_path, "version: 1\ndefaults:\ntenants:\n") == Policy()


def test_the_defaults_promise_what_the_documentation_says() -> None:
    rules = Policy().for_tenant("anyone")
    assert [stage.offset_days for stage in rules.stages] == [-3, 0, 3, 7, 14, 30]
    assert (rules.contact_hours.start, rules.contact_hours.end) == (540, 1140)
    assert "sun" not in rules.contact_hours.days
    assert rules.scan_at == time(9, 0)
    assert rules.farthest_offset_days == 3
    assert rules.due_before(date(2026, 6, 20)) == date(2026, 6, 24)


def test_a_partial_mapping_keeps_its_other_defaults(tmp_path: Path) -> None:
    rules = load(tmp_path, "defaults: {caps: {per_contact_per_week: 1}}").for_tenant("t")
    assert (rules.caps.per_contact_per_week, rules.caps.per_contact_per_month) == (1, 10)


def test_a_tenant_overrides_over_the_files_own_defaults(tmp_path: Path) -> None:
    policy = load(
        tmp_path,
        """
defaults:
  contact_hours: {start: "08:00"}
  minimum_amount: 100.50
tenants:
  t1:
    mode: approval
    contact_hours: {end: "24:00"}
    stages: [{offset_days: 5, template: invoice_overdue, lateness_days: 1}]
""",
    )
    rules = policy.for_tenant("t1")
    assert rules.mode is Mode.APPROVAL
    assert (rules.contact_hours.start, rules.contact_hours.end) == (480, 1440)
    assert rules.minimum_amount == Decimal("100.50")
    assert [stage.offset_days for stage in rules.stages] == [5]
    assert rules.farthest_offset_days == 0
    assert policy.for_tenant("t2").mode is Mode.LIVE
    assert len(policy.for_tenant("t2").stages) == 6


def test_an_unquoted_hour_is_read_as_written(tmp_path: Path) -> None:
    rules = load(tmp_path, "defaults: {contact_hours: {start: 10:30, end: 19:00}, scan_at: 10:15}").for_tenant("t")
    assert (rules.contact_hours.start, rules.contact_hours.end, rules.scan_at) == (630, 1140, time(10, 15))


def test_always_can_be_said(tmp_path: Path) -> None:
    hours = load(
        tmp_path,
        'defaults: {contact_hours: {start: "00:00", end: "24:00", days: [mon, tue, wed, thu, fri, sat, sun],'
        " holidays: false}}",
    ).defaults.contact_hours
    assert (hours.start, hours.end, len(hours.days), hours.holidays) == (0, 1440, 7, False)


def test_stages_are_kept_in_order_of_their_offsets() -> None:
    rules = TenantPolicy.model_validate(
        {"stages": [{"offset_days": o, "template": "x", "lateness_days": 1} for o in (7, -3, 0)]}
    )
    assert [stage.offset_days for stage in rules.stages] == [-3, 0, 7]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 2\n", "policy.yaml:1: version: "),
        ("version: 1\ndefalts: {}\n", "policy.yaml:2: defalts: unknown key"),
        ("defaults:\n  mode: live\n  langauge: en\n", "policy.yaml:3: defaults.langauge: unknown key"),
        ("defaults:\n  mode: loud\n", "policy.yaml:2: defaults.mode: "),
        ("defaults:\n  caps:\n    per_contact_per_week: -1\n", "policy.yaml:3: defaults.caps.per_contact_per_week: "),
        ("defaults:\n  caps: 3\n", "policy.yaml:2: defaults.caps: must be a mapping"),
        ("defaults:\n  scan_at: '24:00'\n", "policy.yaml:2: defaults.scan_at: must be a time between"),
        ("defaults:\n  scan_at: nine\n", "policy.yaml:2: defaults.scan_at: must be a time such as"),
        (
            "defaults:\n  contact_hours: {start: '19:00', end: '09:00'}\n",
            "policy.yaml:2: defaults.contact_hours: start must be earlier than end",
        ),
        ("defaults:\n  contact_hours:\n    end: '25:00'\n", "policy.yaml:3: defaults.contact_hours.end: "),
        ("defaults:\n  contact_hours: {days: [mon, funday]}\n", "policy.yaml:2: defaults.contact_hours.days.1: "),
        ("defaults:\n  contact_hours: {days: []}\n", "policy.yaml:2: defaults.contact_hours.days: "),
        ("defaults:\n  minimum_amount: .inf\n", "policy.yaml:2: defaults.minimum_amount: "),
        (
            "defaults:\n  stages:\n    - {offset_days: 1, template: Bad Name, lateness_days: 1}\n",
            "policy.yaml:3: defaults.stages.0.template: ",
        ),
        ("defaults:\n  stages:\n    - {offset_days: 1, template: a}\n", "policy.yaml:3: defaults.stages.0"),
        (
            "defaults:\n  stages:\n    - {offset_days: 1, template: a, lateness_days: 1}\n"
            "    - {offset_days: 1, template: b, lateness_days: 1}\n",
            "policy.yaml:2: defaults.stages: two stages have the same offset_days",
        ),
        ("defaults:\n  group_by_contact: perhaps\n", "policy.yaml:2: defaults.group_by_contact: "),
        ("tenants:\n  t1:\n    brake:\n      x: 1\n", "policy.yaml:4: tenants.t1.brake.x: unknown key"),
        ("defaults: {}\ntenants: [a]\n", "policy.yaml:2: tenants: must be a mapping"),
        ("tenants:\n  t1: live\n", "policy.yaml:2: tenants.t1: must be a mapping"),
        ("defaults:\n  mode: live\n  mode: preview\n", "policy.yaml:3: defaults.mode: twice"),
        ("defaults: {a: [\n", "policy.yaml:2: not YAML"),
        ("- a\n", "policy.yaml:1: policy: must be a mapping"),
    ],
)
def test_a_mistake_is_named_by_file_line_and_key(tmp_path: Path, text: str, said: str) -> None:
    assert refused(tmp_path, text).startswith(said)


def test_a_mistake_a_tenant_inherits_is_shown_where_it_was_made(tmp_path: Path) -> None:
    text = "tenants:\n  t1: {mode: preview}\ndefaults:\n  brake:\n    per_tenant_per_hour: 0\n"
    assert refused(tmp_path, text).startswith("policy.yaml:5: defaults.brake.per_tenant_per_hour: ")


PACKS = SHIPPED.parent / "packs"
SHIPPED_PACKS = ("australia", "india", "plain", "united_kingdom")


def test_the_shipped_packs_say_the_same_things_and_plain_is_what_holds_without_one(tmp_path: Path) -> None:
    assert tuple(sorted(pack.stem for pack in PACKS.glob("*.yaml"))) == SHIPPED_PACKS
    for name in SHIPPED_PACKS:
        rules = load(tmp_path, f"defaults: {{pack: {name}}}").defaults
        # A pack that left one of them out would let another pack's rule show through.
        assert set((PACKS / f"{name}.yaml").read_text().split()) >= {"contact_hours:", "caps:"}
        assert rules.stages == TenantPolicy().stages
    assert load(tmp_path, "defaults: {pack: plain}").defaults == TenantPolicy()


@pytest.mark.parametrize(
    ("name", "window", "days", "caps"),
    [
        ("australia", (540, 1140), 7, (3, 10)),
        ("india", (540, 1140), 6, (3, 10)),
        ("united_kingdom", (540, 1080), 5, (2, 6)),
        ("plain", (540, 1140), 6, (3, 10)),
    ],
)
def test_a_pack(tmp_path: Path, name: str, window: tuple[int, int], days: int, caps: tuple[int, int]) -> None:
    rules = load(tmp_path, f"tenants: {{t1: {{pack: {name}}}}}").for_tenant("t1")
    hours = rules.contact_hours
    assert ((hours.start, hours.end), len(hours.days), hours.holidays) == (window, days, True)
    assert (rules.caps.per_contact_per_week, rules.caps.per_contact_per_month) == caps


def test_the_nearer_rule_wins(tmp_path: Path) -> None:
    policy = load(
        tmp_path,
        """
defaults:
  pack: united_kingdom
  caps: {per_contact_per_month: 5}
tenants:
  bare: {}
  other_pack: {pack: australia}
  own: {pack: australia, caps: {per_contact_per_week: 1}, contact_hours: {end: "17:00"}}
""",
    )

    def said(tenant: str) -> tuple[int, int, int, int]:
        rules = policy.for_tenant(tenant)
        caps, hours = rules.caps, rules.contact_hours
        return caps.per_contact_per_week, caps.per_contact_per_month, hours.end, len(hours.days)

    assert said("unnamed") == (2, 5, 1080, 5)
    assert said("bare") == (2, 5, 1080, 5)
    assert said("other_pack") == (3, 10, 1140, 7)
    assert said("own") == (1, 10, 1020, 7)


def test_a_pack_of_ones_own_lies_beside_the_policy(tmp_path: Path) -> None:
    (tmp_path / "packs").mkdir()
    own = tmp_path / "packs" / "gentle.yaml"
    own.write_text("caps: {per_contact_per_week: 1}\n")
    assert load(tmp_path, "defaults: {pack: gentle}").defaults.caps.per_contact_per_week == 1
    own.write_text("minimum_amount: 5\ncaps:\n  per_contact_per_wek: 1\n")
    assert refused(tmp_path, "defaults: {pack: gentle}") == "packs/gentle.yaml:3: caps.per_contact_per_wek: unknown key"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "defaults:\n  pack: indai\n",
            "policy.yaml:2: defaults.pack: no such pack; there are: australia, india, plain",
        ),
        ("tenants:\n  t1:\n    pack: ../x\n", "policy.yaml:3: tenants.t1.pack: no such pack"),
        ("tenants:\n  t1:\n    pack: [india]\n", "policy.yaml:3: tenants.t1.pack: no such pack"),
        ("defaults:\n  languages: {Asha: Hindi}\n", "policy.yaml:2: defaults.languages.Asha: "),
        ("defaults:\n  exclude_groups: VIP\n", "policy.yaml:2: defaults.exclude_groups: "),
        ("pack: india\n", "policy.yaml:1: pack: unknown key"),
    ],
)
def test_a_mistake_about_packs_groups_and_languages_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    assert refused(tmp_path, text).startswith(said)
    assert "\n" not in refused(tmp_path, text)


def test_languages_are_by_contact_whatever_the_capitals(tmp_path: Path) -> None:
    rules = load(tmp_path, "defaults: {language: en_GB, languages: {Asha  Traders: hi, 9C0F: mr}}").defaults
    assert [rules.language_of(*names) for names in (("x", "asha traders"), ("9c0f", "y"), ("x", "y"))] == [
        "hi",
        "mr",
        "en_GB",
    ]


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.yaml: cannot be read"):
        load_policy(tmp_path / "absent.yaml")
