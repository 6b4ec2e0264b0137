"""wstrace --check: the article's capture against the document, and each possible difference."""

import re
import struct

import pytest

import pcap
from pcap import CAPTURES
from wsd import CLOSE, frame

DOCUMENT = CAPTURES / "documented-trace.tsv"
HEADER, *ROWS = DOCUMENT.read_text().splitlines()
COLUMNS = HEADER.split("\t")


def check(document, capture, *options, tmp_path=None):
    """Exit status, and the lines that it prints."""
    if tmp_path is not None:
        (tmp_path / "document.tsv").write_text("\n".join([HEADER, *document]) + "\n")
        document = tmp_path / "document.tsv"
    result = pcap.run([pcap.program("wstrace"), "--check", str(document), *options], capture)
    assert result.stderr == "" or result.returncode == 1, result.stderr
    return result.returncode, result.stdout.splitlines()


ARTICLE = (CAPTURES / "article.pcap").read_bytes()


def test_check_finds_the_capture_of_the_article_equal_to_the_document():
    assert check(DOCUMENT, ARTICLE) == (0, ["17 of 17 rows equal"])


def test_the_document_has_the_lengths_and_sequence_numbers_of_the_article():
    """17 rows with known lengths and sequence numbers."""
    cells = [row.split("\t") for row in ROWS]
    assert [int(row[5]) for row in cells] == [74, 74, 66, 293, 66, 284, 66, 84, 66, 86, 66, 74, 70, 66, 66, 66, 66]
    assert [row[4] for row in cells].count("WebSocket") == 4
    assert "Seq=244 Ack=255" in cells[16][6]


def altered():
    """Alters each column of each row in turn; in the last column, each part except the timestamps."""
    for number, row in enumerate(ROWS, 1):
        cells = row.split("\t")
        for column, cell in enumerate(cells):
            name = COLUMNS[column]
            if name == "info":
                for part in re.finditer(r"\[[^]]*\]|[^ \[]+", cell):
                    if part[0].startswith(("TSval", "TSecr")):
                        continue
                    changed = cell[:part.start()] + part[0] + "9" + cell[part.end():]
                    yield number, name, part[0], [*cells[:column], changed, *cells[column + 1:]]
            else:
                other = {"phase": "quiet", "protocol": "QUIC"}.get(name, cell + "9")
                yield number, name, cell, [*cells[:column], other, *cells[column + 1:]]


@pytest.fixture(scope="module")
def each_alteration(tmp_path_factory):
    return tmp_path_factory.mktemp("documents")


@pytest.mark.parametrize("number", range(1, 18))
@pytest.mark.parametrize("column", COLUMNS)
def test_check_names_only_the_column_that_was_altered(each_alteration, number, column):
    tried = 0
    for row, name, what, cells in altered():
        if (row, name) != (number, column):
            continue
        tried += 1
        document = [*ROWS[:row - 1], "\t".join(cells), *ROWS[row:]]
        status, lines = check(document, ARTICLE, tmp_path=each_alteration)
        assert status == 3
        assert len(lines) == 2, (what, lines)
        assert lines[0].startswith(f"row {row}: {name}: "), (what, lines)
        assert lines[0].count(": ") >= 3, "the line explains the difference"
        assert lines[1] == "16 of 17 rows equal"
    assert tried >= 1


def test_check_accepts_any_timestamp_values_in_the_document(tmp_path):
    document = [re.sub(r"TSval=\d+ TSecr=\d+", "TSval=1 TSecr=2", row) for row in ROWS]
    assert check(document, ARTICLE, tmp_path=tmp_path) == (0, ["17 of 17 rows equal"])


def test_check_reports_timestamps_missing_from_the_document(tmp_path):
    document = [row.replace(" TSval=1655867670 TSecr=1655867670", "") for row in ROWS]
    status, lines = check(document, ARTICLE, tmp_path=tmp_path)
    assert status == 3
    assert lines[0].startswith("row 5: info: nothing more documented, TSval=")


# --- a capture that differs

def packets():
    return pcap.read(CAPTURES / "article.pcap")


def test_check_reports_a_tsecr_that_the_other_side_never_sent(tmp_path):
    for number in range(2, 18):
        changed = packets()
        # TSecr is the last option field: NOP, NOP, kind, length, TSval, TSecr. A SYN has other offsets.
        at = 14 + 20 + 20 + (4 + 2 + 6 if number == 2 else 8)
        changed[number - 1] = pcap.patch(changed[number - 1], at, ">I", lambda value: value + 1_000_000)
        status, lines = check(DOCUMENT, pcap.pcap(changed))
        assert status == 3
        assert lines[0].startswith(f"row {number}: info: TSecr="), lines
        assert "the peer's last TSval" in lines[0]


def at_time_stamps(number):
    """The offset of TSval in a packet of the article; TSecr follows it."""
    return 14 + 20 + 20 + (4 + 2 + 2 if number <= 2 else 4)


def test_check_accepts_timestamps_that_wrap_around():
    """The timestamp clock has 32 bits, and may start at any value."""
    changed = packets()
    (first,) = struct.unpack_from(">I", changed[0].data, at_time_stamps(1))
    for number in range(1, 18):
        for at in (at_time_stamps(number), at_time_stamps(number) + 4):
            changed[number - 1] = pcap.patch(changed[number - 1], at, ">I",
                                             lambda value: (value - first + 2**32 - 500) % 2**32 if value else 0)
    assert check(DOCUMENT, pcap.pcap(changed)) == (0, ["17 of 17 rows equal"])


def test_check_reports_a_tsecr_that_goes_back():
    changed = packets()
    (old,) = struct.unpack_from(">I", changed[4].data, at_time_stamps(5) + 4)
    changed[12] = pcap.patch(changed[12], at_time_stamps(13) + 4, ">I", lambda value: old)
    status, lines = check(DOCUMENT, pcap.pcap(changed))
    assert (status, lines[1:]) == (3, ["16 of 17 rows equal"])
    assert lines[0].startswith(f"row 13: info: TSecr={old} captured: ")


@pytest.mark.parametrize("row, milliseconds", [(6, -150), (6, 2000), (10, -7), (10, 60)])
def test_check_reports_a_server_delay_outside_its_bounds(row, milliseconds):
    moved = [packet._replace(time=packet.time + (milliseconds * 1_000_000 if i >= row - 1 else 0))
             for i, packet in enumerate(packets())]
    status, lines = check(DOCUMENT, pcap.pcap(moved))
    assert status == 3
    assert len(lines) == 2 and lines[0].startswith(f"row {row}: time: "), lines
    assert lines[1] == "16 of 17 rows equal"


@pytest.mark.parametrize("number", range(1, 18))
def test_check_names_a_row_missing_from_the_capture(number):
    status, lines = check(DOCUMENT, pcap.pcap(packets()[:number - 1] + packets()[number:]))
    assert status == 3
    assert any(line.startswith(f"row {number}: missing: ") for line in lines), lines


def test_check_names_a_packet_missing_from_the_document():
    status, lines = check(DOCUMENT, pcap.pcap(packets() + packets()[-1:]))
    assert status == 3
    assert any(line.startswith("packet 18: not documented: TCP 66 ") for line in lines), lines


def test_check_reports_every_row_missing_from_an_empty_capture():
    status, lines = check(DOCUMENT, pcap.pcap([]))
    assert (status, len(lines), lines[-1]) == (3, 18, "0 of 17 rows equal")


def test_check_refuses_more_than_1024_rows_or_16384_packets(tmp_path):
    """Compares 1,024 rows with 16,384 equal packets, then tries one more of each."""
    packet = packets()[2]
    document = [ROWS[2]] * 1024
    status, lines = check(document, pcap.pcap([packet] * 16384), tmp_path=tmp_path)
    assert (status, lines[-1]) == (3, "0 of 1024 rows equal")
    (tmp_path / "document.tsv").write_text("\n".join([HEADER, *document, ROWS[2]]) + "\n")
    result = pcap.run([pcap.program("wstrace"), "--check", str(tmp_path / "document.tsv")], ARTICLE)
    assert result.returncode == 1 and result.stderr.endswith("document.tsv: the table has more than 1024 rows\n")
    result = pcap.run([pcap.program("wstrace"), "--check", str(DOCUMENT)], pcap.pcap([packet] * 16385))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "wstrace: the capture has more than 16384 packets: too many to compare\n"


def test_check_assigns_a_data_frame_after_the_first_close_to_the_phase_close(tmp_path):
    """The echo was in flight when the client sent its Close."""
    talk = pcap.Conversation().upgrade().add("client", frame(CLOSE, b"\x03\xe8"))
    talk.add("server", b"\x81\x02hi").add("server", b"\x88\x02\x03\xe8")
    delays = [0, 0, 0, 193_000_000, 0, 8_000_000, 0]  # the delays of the article's server
    talk.packets = [packet._replace(time=packet.time + sum(delays[:i + 1])) for i, packet in enumerate(talk.packets)]
    fields = ["-T", "fields", *(f"-e{name}" for name in (
        "frame.number", "ip.src", "ip.dst", "_ws.col.Protocol", "frame.len", "_ws.col.Info"))]
    document = []
    for row in pcap.tshark(talk.pcap(), *fields):
        number, *cells = row.split("\t")
        document.append("\t".join([number, "connect" if int(number) < 5 else "close", *cells]))
    assert check(document, talk.pcap(), tmp_path=tmp_path) == (0, ["7 of 7 rows equal"])


# --- the 16-row form

UNDELAYED = (CAPTURES / "article-undelayed.pcap").read_bytes()


def test_allow_piggyback_accepts_a_capture_without_the_bare_ack_of_row_9():
    assert check(DOCUMENT, UNDELAYED, "--allow-piggyback") == (0, ["16 of 16 rows equal"])
    status, lines = check(DOCUMENT, UNDELAYED)
    assert (status, len(lines), lines[-1]) == (3, 2, "16 of 17 rows equal")
    assert lines[0].startswith("row 9: missing: TCP 66 8080 → 53522 [ACK] Seq=219 Ack=246 ")


def test_allow_piggyback_accepts_a_capture_with_all_rows():
    assert check(DOCUMENT, ARTICLE, "--allow-piggyback") == (0, ["17 of 17 rows equal"])


def test_allow_piggyback_reports_any_other_missing_row():
    for number in (5, 7, 11, 14, 17):
        without = pcap.pcap(packets()[:number - 1] + packets()[number:])
        status, _ = check(DOCUMENT, without, "--allow-piggyback")
        assert status == 3, number


# --- invalid documents

@pytest.mark.parametrize("text, complaint", [
    ("", "the first line"),
    ("a\tb\n", "the first line"),
    (HEADER + "\n", "no rows"),
    (HEADER + "\n1\tconnect\n", "line 2 has 2 columns"),
])
def test_check_reports_an_invalid_document_in_one_line(tmp_path, text, complaint):
    (tmp_path / "document.tsv").write_text(text)
    result = pcap.run([pcap.program("wstrace"), "--check", str(tmp_path / "document.tsv")], ARTICLE)
    assert result.returncode == 1
    assert complaint in result.stderr and len(result.stderr.splitlines()) == 1


def test_check_reads_the_document_before_it_starts_a_capture():
    result = pcap.run([pcap.program("wstrace"), "--check", "no-such-table", "-i", "no-such-device"])
    assert (result.returncode, result.stderr) == (1, "wstrace: no-such-table: cannot be read\n")


def test_check_accepts_a_document_with_crlf_line_ends(tmp_path):
    (tmp_path / "document.tsv").write_bytes(DOCUMENT.read_bytes().replace(b"\n", b"\r\n"))
    assert check(tmp_path / "document.tsv", ARTICLE) == (0, ["17 of 17 rows equal"])


def test_the_capture_of_the_article_has_the_documented_payload_sizes():
    """The article's table of payload sizes, and the lengths of the lines in both heads."""
    sizes = {number: pcap.payload_size(packet) for number, packet in enumerate(packets(), 1)}
    assert {number: size for number, size in sizes.items() if size} == {4: 227, 6: 218, 8: 18, 10: 20, 12: 8, 13: 4}
    request = packets()[3].data[66:].decode()
    assert [len(line) + 2 for line in request.split("\r\n")[:-1]] == [20, 27, 45, 21, 20, 70, 22, 2]
    answer = packets()[5].data[66:].decode()
    assert sorted(len(line) + 2 for line in answer.split("\r\n")[:-1]) == sorted([34, 14, 37, 38, 20, 21, 52, 2])
    assert struct.unpack(">H", packets()[12].data[-2:])[0] in (1000, 1005)
