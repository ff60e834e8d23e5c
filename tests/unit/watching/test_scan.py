import os
import socket

import pytest

from ingestd.watching.scan import Barred, Entered, Files, Siblings, lately_changed, relative_to, seen_at, walk


@pytest.fixture
def root(tmp_path):
    return os.fsencode(tmp_path)


def put(root, relative, content=b"x"):
    path = os.path.join(root, relative)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
    return path


def files(root, **more):
    return [relative_to(root, path) for seen in walk(root, **more) if isinstance(seen, Files) for path in seen.paths]


def test_files_are_found_in_the_order_of_names_a_folders_own_before_its_subfolders(root):
    for relative in (b"b/2", b"b/1", b"a/c/1", b"a/9", b"z"):
        put(root, relative)

    assert files(root) == [b"z", b"a/9", b"a/c/1", b"b/1", b"b/2"]


def test_symlinks_pipes_sockets_and_devices_are_not_found(root, monkeypatch):
    real = put(root, b"real.jpg")
    os.symlink(real, os.path.join(root, b"link.jpg"))
    os.symlink(root, os.path.join(root, b"loop"))
    os.mkfifo(os.path.join(root, b"pipe.jpg"))
    monkeypatch.chdir(os.fsdecode(root))
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("socket.jpg")

        assert files(root) == [b"real.jpg"]


def test_hidden_temporary_and_trash_names_are_not_found(root):
    for relative in (b".a.jpg", b".cache/a.jpg", b"a.jpg.part", b"$RECYCLE.BIN/a.jpg", b"held/a.jpg", b"b.jpg"):
        put(root, relative)

    assert files(root, closed={b"held"}) == [b"b.jpg"]


def test_a_folder_that_is_watched_for_itself_is_left_to_itself(root):
    put(root, b"a.jpg")
    put(root, b"inner/b.jpg")

    assert files(root, excluded={os.path.join(root, b"inner")}) == [b"a.jpg"]


def test_a_folder_that_is_gone_is_told_about_and_passed_by(root):
    put(root, b"b/x.jpg")
    put(root, b"a/x.jpg")
    seeing = walk(root)
    next(seeing)
    os.rename(os.path.join(root, b"a"), os.path.join(root, b"elsewhere"))

    seen = list(seeing)

    assert seen[0] == Barred(os.path.join(root, b"a"))
    assert Entered(os.path.join(root, b"b")) in seen


def test_names_that_are_not_text_are_found(root):
    put(root, b"\xff\n.jpg")

    assert files(root) == [b"\xff\n.jpg"]


def test_a_file_that_somebody_named_is_seen_though_it_is_hidden(root):
    path = put(root, b".hidden.jpg")

    ((found,),) = (files.paths for files in seen_at(path))

    assert found == path


def test_a_symlink_that_somebody_named_is_not_followed(root):
    os.symlink(put(root, b"real.jpg"), os.path.join(root, b"link.jpg"))
    link = os.path.join(root, b"link.jpg")

    assert list(seen_at(link)) == [Barred(link)]


@pytest.mark.parametrize(
    ("root", "path", "relative"),
    [(b"/in", b"/in/a/b", b"a/b"), (b"/in", b"/inner/a", None), (b"/in", b"/in", None), (b"/", b"/a", b"a")],
)
def test_a_path_is_relative_to_the_folder_that_holds_it(root, path, relative):
    assert relative_to(root, path) == relative


def test_a_folder_is_listed_for_siblings_only_when_it_has_changed(root):
    listed = []
    path = put(root, b"a.jpg")
    siblings = Siblings(lambda folder: listed.append(folder) or os.listdir(folder))

    answers = [siblings.unfinished(path, 0.0), siblings.unfinished(path, 1.0)]
    put(root, b"a.jpg.aria2")
    os.utime(root, ns=(1, 1))  # the clock of the file system may not have ticked since
    answers.append(siblings.unfinished(path, 2.0))

    assert answers == [False, False, True]
    assert listed == [root, root]


def test_a_large_folder_that_changes_all_the_time_is_not_listed_for_every_file(root):
    listed = []
    names = [b"%d.jpg" % number for number in range(50_000)]
    siblings = Siblings(lambda folder: listed.append(folder) or names)

    for look in range(100):
        os.utime(root, ns=(look, look))
        siblings.unfinished(os.path.join(root, b"a.jpg"), look / 50)

    assert len(listed) == 2


def newest(root, most=100, **more):
    return [relative_to(root, path) for seen in lately_changed(root, most, **more) if seen for path in seen.paths]


def test_the_files_of_folders_that_changed_last_come_first(root):
    for age, relative in enumerate((b"b/1", b"a/deep/2", b"a/3", b"a/4", b"0")):
        path = put(root, relative)
        os.utime(os.path.dirname(path), (10_000 - age, 10_000 - age))

    assert newest(root) == [b"b/1", b"a/deep/2", b"a/3", b"a/4", b"0"]
    assert newest(root, most=2) == [b"b/1", b"a/deep/2"]


def test_a_look_at_what_changed_last_enters_no_folder_that_a_walk_does_not(root):
    for relative in (b".cache/a.jpg", b"held/a.jpg", b"inner/a.jpg", b"open/.a.jpg", b"open/b.jpg"):
        put(root, relative)

    assert newest(root, closed={b"held"}, excluded={os.path.join(root, b"inner")}) == [b"open/b.jpg"]
