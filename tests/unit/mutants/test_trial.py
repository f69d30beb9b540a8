"""What is tried is the copy and nothing of the tree beside it; whatever hangs is ended."""

import json
import shutil
from pathlib import Path

import pytest

from deploy.paths import ROOT
from mutants.trial import DoesNotApply, a_trial

_ASKED = """
import json, deploy.paths, httpx, ingress, notifier, shared, token_broker
modules = (ingress, notifier, shared, token_broker, deploy.paths, httpx)
print(json.dumps([module.__file__ for module in modules]))
"""


def test_the_copy_is_what_its_interpreter_finds() -> None:
    with a_trial() as trial:
        assert trial.run("-P", "-c", _ASKED, seconds=60) == 0
        *ours, httpx = [Path(path) for path in json.loads(trial.output)]
        assert all(path.is_relative_to(trial.folder) for path in ours)
        assert not httpx.is_relative_to(trial.folder)
        assert trial.run("-c", "import time; time.sleep(600)", seconds=0.2) is None


@pytest.mark.skipif(shutil.which("git") is None, reason="git applies the patches")
def test_a_patch_that_does_not_fit_is_said(tmp_path: Path) -> None:
    patch = tmp_path / "odd.patch"
    patch.write_text("--- a/shared/none.py\n+++ b/shared/none.py\n@@ -1,1 +1,1 @@\n-a\n+b\n")
    with pytest.raises(DoesNotApply, match=r"none\.py"), a_trial(patch):
        pass
    assert not (ROOT / "shared" / "none.py").exists()
