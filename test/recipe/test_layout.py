"""Files of a recipe: each fault is named with its remedy."""

import pytest

from tokenchain_toolkit.recipe.layout import can_be_asked, check_layout


def test_a_new_recipe_is_in_order(new_recipe):
    assert not check_layout(new_recipe).problems and can_be_asked(new_recipe)


@pytest.mark.parametrize("name", ["tokenchain.sh", "path.sh", "cmd.sh", "db.sh"])
def test_a_missing_or_broken_link(new_recipe, name):
    (new_recipe / name).unlink()
    (problem,) = check_layout(new_recipe).problems
    assert problem == f"{name} is missing; ln -sf ../../TEMPLATE/tokenchain1/{name} {name}"
    (new_recipe / name).symlink_to("../nowhere.sh")
    (problem,) = check_layout(new_recipe).problems
    assert f"{name} is a link to ../nowhere.sh, which is not there; ln -sf" in problem
    assert not can_be_asked(new_recipe)


@pytest.mark.parametrize(("name", "is_allowed"), [("tokenchain.sh", False), ("path.sh", False), ("cmd.sh", True)])
def test_a_copy_in_place_of_a_link(new_recipe, name, is_allowed):
    content = (new_recipe / name).read_bytes()
    (new_recipe / name).unlink()
    (new_recipe / name).write_bytes(content)
    problems = check_layout(new_recipe).problems
    assert (problems == []) if is_allowed else (len(problems) == 1 and f"{name} is a copy" in problems[0])


@pytest.mark.parametrize("name", ["run.sh", "local/data.sh"])
def test_scripts(new_recipe, name):
    script = new_recipe / name
    script.chmod(0o644)
    assert check_layout(new_recipe).problems == [f"{name} is not executable; chmod +x {name}"]
    script.chmod(0o755)
    script.write_text(script.read_text().split("\n", 1)[1])
    assert "#!/usr/bin/env bash" in check_layout(new_recipe).problems[0]
    script.unlink()
    (problem,) = check_layout(new_recipe).problems
    assert problem.startswith(f"{name} is missing; copy ../../TEMPLATE/tokenchain1/start/{name}")
    assert not can_be_asked(new_recipe)


def test_a_run_script_that_keeps_its_options_is_not_called(new_recipe, edit):
    edit(new_recipe / "run.sh", '"$@"', "--stage data")
    (problem,) = check_layout(new_recipe).problems
    assert "--stage has no effect" in problem and '"$@"' in problem
    assert not can_be_asked(new_recipe)


def test_a_run_script_without_the_stages(new_recipe):
    (new_recipe / "run.sh").write_text("#!/usr/bin/env bash\necho done\n")
    (problem,) = check_layout(new_recipe).problems
    assert "run.sh does not call ./tokenchain.sh" in problem


def test_no_configurations(new_recipe):
    for path in (new_recipe / "conf").iterdir():
        path.unlink()
    (problem,) = check_layout(new_recipe).problems
    assert "conf holds no configurations; copy those of ../../TEMPLATE/tokenchain1/start/conf" in problem
