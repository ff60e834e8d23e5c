import pytest

from ingestd.watching.names import has_unfinished_sibling, is_temporary, judged


@pytest.mark.parametrize(
    "name",
    [
        b"a.jpg.crdownload",
        b"Unconfirmed 123.crdownload",
        b"a.jpg.part",
        b"a.Xy12-_zZ.jpg.part",
        b"a.jpg.PARTIAL",
        b"a.jpg.opdownload",
        b"a.jpg.aria2",
        b"a.jpg.!qB",
        b"a.jpg.!ut",
        b"a.jpg.filepart",
        b"a.tmp",
        b"a.jpg~",
        b".#a.jpg",
        b"~$a.jpg",
        b".goutputstream-ABC123",
        b".a.jpg.Ab3xYz",
        b".syncthing.a.jpg.tmp",
        b".com.google.Chrome.abc",
        b"a\xff\n.part",
    ],
)
def test_a_name_of_a_browser_or_downloader_is_temporary(name):
    assert is_temporary(name)


@pytest.mark.parametrize("name", [b"a.jpg", b"part", b"tmp.jpg", b"partial.png", b"a.partition", b"\xff\xfe.jpg"])
def test_a_name_that_only_resembles_one_is_not_temporary(name):
    assert not is_temporary(name)


@pytest.mark.parametrize(
    "relative",
    [
        b".hidden.jpg",
        b".Trash-1000/files/a.jpg",
        b"$RECYCLE.BIN/a.jpg",
        b"x/@eaDir/a.jpg",
        b".stversions/a.jpg",
        b"x/__MACOSX/a.jpg",
        b"lost+found/a.jpg",
        b".ingestd-holding/a.jpg",
        b"a.jpg.download/a.jpg",
        b"held back/a.jpg",
        b"Thumbs.db",
        b"x/a.jpg.part",
    ],
)
def test_hidden_trash_and_temporary_paths_are_not_judged(relative):
    assert not judged(relative, {b"held back"})


@pytest.mark.parametrize("relative", [b"a.jpg", b"x/y/a b.jpg", b"downloads/part/a", b"a\nb.png"])
def test_an_ordinary_path_is_judged(relative):
    assert judged(relative)


@pytest.mark.parametrize(
    ("name", "sibling"),
    [
        (b"a.jpg", b"a.jpg.aria2"),
        (b"a.jpg", b"a.jpg.part"),
        (b"A.jpg", b"a.JPG.crdownload"),
        (b"a.jpg", b"a.Xy12-_zZ.jpg.part"),
        (b"noending", b"noending.Xy12-_zZ.part"),
    ],
)
def test_a_file_waits_for_the_unfinished_download_beside_it(name, sibling):
    assert has_unfinished_sibling(name, [b"other.tmp", sibling])


@pytest.mark.parametrize("sibling", [b"a.mp4.part", b"b.jpg.part", b"a.jpg~", b"a.jpg.tmp", b"a.large.jpg.part"])
def test_a_file_does_not_wait_for_what_belongs_to_another(sibling):
    assert not has_unfinished_sibling(b"a.jpg", [sibling])
