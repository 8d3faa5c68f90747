"""Texts: in both languages, nothing missing, nothing left over."""

import ast
from collections.abc import Iterator
import json
from pathlib import Path
import re
from typing import Any

import pytest

from custom_components.broute.aiobroute import Stage
from custom_components.broute.aiobroute.cli.findings import TROUBLES, WORKING
from custom_components.broute.aiobroute.doctor import Check
from custom_components.broute.binary_sensor import FAULT
from custom_components.broute.cause_flow import CauseFlow, JoinRefusedFlow
from custom_components.broute.coordinator import ERROR_KEYS, error_key
from custom_components.broute.cost_sensor import COST_SENSORS, TOTALS
from custom_components.broute.demand_sensor import RUNNING_DEMAND
from custom_components.broute.dongle.credentials import FORMS
from custom_components.broute.energy.ledger import DIRECTIONS
from custom_components.broute.energy.terms import Fault
from custom_components.broute.export import HEADS
from custom_components.broute.options_flow import CONF_IN_DASHBOARD, CONF_UNKNOWN, schema
from custom_components.broute.plan_flow import (
    ADJUSTMENTS,
    BAND,
    BASIC_FIELDS,
    CONTRACT,
    DASHBOARD,
    FED_IN_BAND,
    FED_IN_REST,
    FEED_IN,
    MARKETED,
    PRICE,
    REST,
    STEPPED,
)
from custom_components.broute.repairs import FAILURES as TOLD, ISSUES
from custom_components.broute.report import STEPS
from custom_components.broute.sensor import ENERGIES, HALF_HOURS, SENSORS
from custom_components.broute.switch import RECORD

INTEGRATION = Path(__file__).parents[1] / "custom_components" / "broute"
DESCRIPTIONS = (*SENSORS, *ENERGIES, *HALF_HOURS, *COST_SENSORS, *TOTALS, RUNNING_DEMAND)
FAILURES = {*ERROR_KEYS.values(), "module_error"}
OF_A_PORT = [issue for issue, _ in TOLD.values() if issue.startswith("port_") or issue == "no_module"]
ONLY_WHILE_RUNNING = {"timeout", "starting", "not_on_disk"}
OF_A_TAKEOVER = {"no_unit", "recorder_busy", "still_running"}


def flatten(node: Any, prefix: str = "") -> dict[str, str]:
    if isinstance(node, str):
        return {prefix[1:]: node}
    return {name: text for key, child in node.items() for name, text in flatten(child, f"{prefix}.{key}").items()}


def texts(language: str) -> dict[str, str]:
    return flatten(json.loads((INTEGRATION / "translations" / f"{language}.json").read_text()))


ENGLISH, JAPANESE = texts("en"), texts("ja")


def below(section: str) -> set[str]:
    """Return the next names below a section."""
    return {key.removeprefix(f"{section}.").split(".")[0] for key in ENGLISH if key.startswith(f"{section}.")}


def nodes() -> Iterator[ast.AST]:
    """Yield everything of the Home Assistant side, of the files in folders as well."""
    for path in sorted(INTEGRATION.rglob("*.py")):
        if INTEGRATION / "aiobroute" not in path.parents:
            yield from ast.walk(ast.parse(path.read_text()))


def keywords(name: str) -> Iterator[str]:
    """Yield the literal values of a keyword argument all over the integration."""
    for node in nodes():
        match node:
            case ast.keyword(arg=arg, value=ast.Constant(value=str(value))) if arg == name:
                yield value


def errors() -> Iterator[tuple[str, set[str]]]:
    """Yield the literal translation key of each error that is made, and the names that it fills in.

    Our own errors have the key as their second argument, and fill in nothing.
    """
    for node in nodes():
        match node:
            case ast.Call(func=ast.Name(id=name), args=[_, ast.Constant(value=str(key))]) if name.endswith("Error"):
                yield key, set()
            case ast.Call(func=ast.Name(id=name), keywords=given) if name.endswith("Error") or name == "UpdateFailed":
                values = {keyword.arg: keyword.value for keyword in given}
                match values.get("translation_key"), values.get("translation_placeholders", ast.Dict([], [])):
                    case ast.Constant(value=str(key)), ast.Dict(keys=names):
                        yield key, {str(name.value) for name in names if isinstance(name, ast.Constant)}


def test_both_languages_have_the_same_texts() -> None:
    assert ENGLISH.keys() == JAPANESE.keys()


@pytest.mark.parametrize("key", ENGLISH)
def test_a_text_is_there_and_names_the_same_things(key: str) -> None:
    placeholders = [sorted(re.findall(r"{(\w*)}", text)) for text in (ENGLISH[key], JAPANESE[key])]
    assert placeholders[0] == placeholders[1]
    assert ENGLISH[key].strip() == ENGLISH[key] != ""
    assert JAPANESE[key].strip() == JAPANESE[key] != ""
    assert re.search(r"[ぁ-ん]|[ァ-ヶ]|[一-龠]", JAPANESE[key]), "not Japanese"


def test_every_failure_has_its_texts_and_no_other() -> None:
    keys = {key for key, _ in errors()}
    assert {"history_failed", "history_no_recorder", "wrong_days", "timeout"} <= keys, (
        "in files, folders and both forms"
    )
    assert below("exceptions") == FAILURES | ONLY_WHILE_RUNNING | keys
    assert below("config.error") == FAILURES - ONLY_WHILE_RUNNING | OF_A_TAKEOVER | {
        "port_scheme",
        *(f"invalid_{field}" for field in FORMS),
    }
    assert all(error_key(kind("")) in FAILURES for kind in ERROR_KEYS)


def test_placeholders_of_failures_are_filled() -> None:
    filled = {key: {"port", "error"} for key in FAILURES | ONLY_WHILE_RUNNING}
    for key, names in errors():
        filled[key] = filled.get(key, names) & names
    for key in below("exceptions"):
        assert set(re.findall(r"{(\w+)}", ENGLISH[f"exceptions.{key}.message"])) <= filled[key], key


def test_every_issue_has_its_texts_and_no_other() -> None:
    assert set(OF_A_PORT) == {"no_module", *(key for key in ERROR_KEYS.values() if key.startswith("port_"))}
    assert below("issues") == {*ISSUES, *OF_A_PORT}
    for issue in (*ISSUES, *OF_A_PORT):
        assert below(f"issues.{issue}") in ({"title", "description"}, {"title", "fix_flow"})


@pytest.mark.parametrize("issue", ["join_refused", "no_meter", *OF_A_PORT])
def test_every_repair_about_a_connection_can_find_the_cause(issue: str) -> None:
    flow = f"issues.{issue}.fix_flow"
    options = JoinRefusedFlow.options if issue == "join_refused" else CauseFlow.options
    assert below(f"{flow}.step") == {"trouble", "findings"}
    assert below(f"{flow}.step.trouble") == {"title", "description", "menu_options"}
    assert below(f"{flow}.step.trouble.menu_options") == set(options)
    assert below(f"{flow}.step.findings") == {"title", "description"}
    assert below(f"{flow}.progress") == {"examine"}


def test_every_step_has_its_texts_and_no_other() -> None:
    forms = {"user", "usb_confirm", "reconfigure", "reauth_confirm", "takeover", "takeover_confirm"}
    forms |= {"finish", "finish_export", "finish_network", "network"}
    menus = {
        "start": {"takeover", "new", "network"},
        "kind": {"new", "network"},
        "way": {"dongle", "network"},
        "moved": {"same", "exchanged"},
    }
    assert below("config.step") == {*menus, *forms}
    of_repairs = {"trouble", "examine", "findings"}
    of_forms = {"connect", *menus, *forms, *below("options.step")}
    assert set(keywords("step_id")) <= of_forms | of_repairs
    for menu, options in menus.items():
        assert below(f"config.step.{menu}") == {"title", "description", "menu_options"}
        assert below(f"config.step.{menu}.menu_options") == options
    assert below("config.progress") == {stage.name.lower() for stage in Stage}
    for step in forms:
        assert below(f"config.step.{step}") - {"submit"} == {"title", "description", "data", "data_description"}
        assert below(f"config.step.{step}.data") == below(f"config.step.{step}.data_description")
    of_options = {"menu", "init", "settings_network", "continue_history", "preview", "undo_history", "keep_unknown"}
    assert below("options.step") == of_options
    assert below("options.step.menu") == {"title", "menu_options"}
    assert below("options.step.menu.menu_options") == {
        *("settings", "continue_history", "undo_history", "keep_unknown"),
    }
    assert below("options.step.undo_history") == {"title", "description"}
    of_steps = {"continue_history": {*DIRECTIONS}, "preview": {CONF_IN_DASHBOARD}, "keep_unknown": {CONF_UNKNOWN}}
    for step, fields in of_steps.items():
        assert below(f"options.step.{step}") == {"title", "description", "data", "data_description"}
        assert below(f"options.step.{step}.data") == below(f"options.step.{step}.data_description") == fields
    of_histories = {"history_not_chosen", "history_chosen_twice", "history_not_before"}
    assert below("options.error") == {*of_histories, *(f"record_{what}" for what in ("gone", "together", "unwritable"))}
    for step in ("init", "settings_network"):
        assert below(f"options.step.{step}") == {"title", "description", "data", "data_description"}
        assert below(f"options.step.{step}.data") == below(f"options.step.{step}.data_description")
        assert below(f"options.step.{step}.data") == {str(key) for key in schema(60, 10, has_costs=True).schema}


PLAN_FORMS = {
    "contract": CONTRACT,
    "price": PRICE,
    "market": MARKETED,
    "steps": STEPPED,
    "band": BAND,
    "rest": REST,
    "adjustments": ADJUSTMENTS,
    "feed_in": FEED_IN,
    "feed_in_band": FED_IN_BAND,
    "feed_in_rest": FED_IN_REST,
    "dashboard": DASHBOARD,
}


def test_every_form_of_a_plan_has_its_texts_and_no_other() -> None:
    assert below("config_subentries.plan.step") == {"user", *PLAN_FORMS, "basic"}
    assert below("config_subentries.plan.step.user") == {"title", "description", "menu_options"}
    assert below("config_subentries.plan.step.user.menu_options") == {"three_steps", "day_and_night", "other"}
    for step in {*PLAN_FORMS, "basic"}:
        texts = f"config_subentries.plan.step.{step}"
        assert below(texts) == {"title", "description", "data", "data_description"}
        asked = {str(key) for key in PLAN_FORMS[step].schema} if step in PLAN_FORMS else set()
        if step == "basic":
            asked = {field for fields in BASIC_FIELDS.values() for field in fields}
        assert below(f"{texts}.data") == below(f"{texts}.data_description") == asked
    typed = {"same_day", *(f"invalid_{what}" for what in ("dates", "number", "numbers", "months", "years"))}
    typed |= {f"price_{what}" for what in ("unavailable", "unit", "too_high", "not_recorded")}
    of_fields = {Fault.BILLING_DAY, Fault.NEGATIVE, Fault.LAST_STEP_ENDS}
    assert below("config_subentries.plan.error") == typed | {fault.value for fault in Fault if fault not in of_fields}


def test_every_reason_has_its_text_and_no_other() -> None:
    fixes = (below(f"issues.{issue}.fix_flow.abort") for issue in (*ISSUES, *OF_A_PORT))
    reasons = below("config.abort").union(below("options.abort"), *fixes)
    of_platform = {"reconfigure_successful"}
    assert reasons | of_platform == {"already_configured", "history_off", "history_excluded", *keywords("reason")}


OF_A_RECORD = {
    *STEPS.values(),
    *(f"record_{what}" for what in ("running", "hint", "written", "read_it", "failed", "unknown", "kept")),
    *(f"record_{what}" for what in ("lost", "unsafe", "empty", "unwritable")),
}


def test_every_step_of_a_record_has_its_text() -> None:
    # Of a meter in the home network there are no records.
    steps = {stage.name.lower() for stage in Stage if stage is not Stage.SEARCH}
    assert steps <= STEPS.keys()
    recorded = "".join(path.read_text() for path in (INTEGRATION.parents[1] / "tests" / "records").glob("*.txt"))
    assert len(told := set(re.findall("= note step (.*)", recorded))) > len(steps)
    assert told <= STEPS.keys()


def test_every_entity_has_its_texts_and_no_other() -> None:
    assert below("entity") == {"binary_sensor", "sensor", "switch"}
    assert below("entity.switch") == {RECORD.translation_key}
    assert below("entity.binary_sensor") == {FAULT.translation_key}
    assert below("entity.sensor") == {description.translation_key for description in DESCRIPTIONS}
    files = {"csv_day", "csv_written", *HEADS}
    doctor = {*(f"check_{check.value}" for check in Check), *(f"found_{key}" for key in (*TROUBLES, *WORKING))}
    names = {
        "dongle_instead",
        "meter",
        "model",
        "plan",
        "night",
        "day",
        "price_of_dashboard",
        "feeding_in",
        "continued",
        "continued_but",
    }
    assert below("common") == names | files | doctor | set(OF_A_RECORD)
    assert {description.key for description in DESCRIPTIONS} == {d.translation_key for d in DESCRIPTIONS}


def test_icons_belong_to_entities() -> None:
    icons = json.loads((INTEGRATION / "icons.json").read_text())
    assert icons.keys() == {"entity", "services"}
    assert icons["entity"].keys() == {"sensor", "switch"}
    assert icons["entity"]["switch"].keys() == {RECORD.translation_key}
    assert icons["entity"]["sensor"].keys() <= {description.translation_key for description in DESCRIPTIONS}
