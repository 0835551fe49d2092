import json

from sightline.regions_table import HEAD, as_dict, rows, sentence
from trainer.region_measure import Advantage, RegionFigures, RegionMeasurement

MEASURED = RegionMeasurement(
    model="builtin",
    photos=100,
    queries=645,
    figures=RegionFigures(0.1234, 0.013, 0.219, 0.13, 0.711, 0.36, 0.11),
    chance=RegionFigures(0.079, None, 0.143, 0.167, 0.5),
    centre=RegionFigures(None, None, 0.149, 0.037, 0.5),
    over_centre=Advantage(0.07, 0.046, 0.095, 0.0001),
)


def test_models_come_first_and_the_baselines_once_below_them():
    found = list(rows([MEASURED, MEASURED]))
    assert [row[0] for row in found] == ["builtin", "builtin", "middle of the picture", "chance"]
    assert found[0][1:] == ("0.123", "0.013", "0.219", "0.130", "0.711")
    assert found[2][1:3] == ("-", "-")
    assert {len(row) for row in found} == {len(HEAD)}


def test_the_sentence_tells_how_sure_it_is():
    assert "+0.070 over the middle (+0.046 to +0.095, p 0.0001)" in sentence(MEASURED)


def test_json_holds_every_figure():
    assert json.loads(json.dumps(as_dict(MEASURED)))["figures"]["pointing"] == 0.219
