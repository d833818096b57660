"""Native pixels of every description through what changes them: lengths right, values those of pydicom."""

from __future__ import annotations

import io
from typing import Any

import httpx
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.pixels.utils import unpack_bits
from pydicom.uid import generate_uid
from tests import build
from tests.live import LiveServer, multipart

ELE, RLE, J2K = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90"
ROWS, COLUMNS, FRAMES = 6, 10, 3
CASES = [
    *(
        ("MONOCHROME2", allocated, stored, signed, 0)
        for allocated, stored in ((1, 1), (8, 8), (8, 6), (16, 12), (16, 16), (32, 32))
        for signed in (0, 1)
        if allocated > 1 or not signed
    ),
    ("MONOCHROME1", 16, 10, 0, 0),
    ("PALETTE COLOR", 8, 8, 0, 0),
    *((p, bits, bits, 0, planar) for p in ("RGB", "YBR_FULL") for bits in (8, 16) for planar in (0, 1)),
    *((p, bits, bits, 0, 0) for p in ("YBR_FULL_422", "YBR_PARTIAL_422") for bits in (8, 16)),
]


def made(photometric: str, allocated: int, stored: int, signed: int, planar: int) -> Dataset:
    colour = photometric.startswith(("RGB", "YBR"))
    samples = 2 if photometric.endswith("422") else 3 if colour else 1
    count = ROWS * COLUMNS * samples * FRAMES
    low, top = (-(1 << stored - 1), 1 << stored - 1) if signed else (0, 1 << stored)
    values = np.random.default_rng(allocated + samples).integers(low, top, count)
    if allocated == 1:
        data = np.packbits(values.astype("u1"), bitorder="little").tobytes()
    else:
        data = values.astype(f"<{'i' if signed else 'u'}{allocated // 8}").tobytes()
    ds = build.dataset(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.4",
        Modality="MR",
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
        BurnedInAnnotation="NO",
        SOPInstanceUID=generate_uid(),
        Rows=ROWS,
        Columns=COLUMNS,
        NumberOfFrames=FRAMES,
        SamplesPerPixel=3 if colour else 1,
        PhotometricInterpretation=photometric,
        PlanarConfiguration=planar if colour else None,
        BitsAllocated=allocated,
        BitsStored=stored,
        HighBit=stored - 1,
        PixelRepresentation=signed,
        PixelData=data + b"\0" * (len(data) % 2),
    )
    if photometric == "PALETTE COLOR":
        for colour_name in ("Red", "Green", "Blue"):
            setattr(ds, f"{colour_name}PaletteColorLookupTableDescriptor", [256, 0, 16])
            setattr(ds, f"{colour_name}PaletteColorLookupTableData", np.arange(256, dtype="<u2").tobytes())
    if allocated == 8:
        ds["PixelData"].VR = "OB"
    return ds


def cells(ds: Dataset) -> np.ndarray[Any, Any]:
    """Values by frame, row, column and sample, chrominance doubled; by PS3.3 C.7.6.3.1 where pydicom refuses."""
    if ds.PhotometricInterpretation.endswith("422"):
        kind = f"<u{ds.BitsAllocated // 8}"
        size = ROWS * COLUMNS * 2 * FRAMES
        pairs = np.frombuffer(ds.PixelData, kind, count=size).reshape(FRAMES, ROWS, COLUMNS // 2, 4)
        y, chroma = pairs[..., :2], np.repeat(pairs[..., None, 2:], 2, axis=3)
        return np.concatenate([y[..., None], chroma], axis=-1).reshape(FRAMES, ROWS, COLUMNS, 3)
    if ds.BitsAllocated == 1:
        bits = np.asarray(unpack_bits(ds.PixelData))[: FRAMES * ROWS * COLUMNS]
        return bits.reshape(FRAMES, ROWS, COLUMNS)
    from pydicom.pixels import get_decoder

    array, _ = get_decoder(ds.file_meta.TransferSyntaxUID).as_array(ds, raw=True)
    return np.asarray(array)


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_pixels_stay_what_they_are(server: LiveServer, case: tuple[str, int, int, int, int]) -> None:
    ds = made(*case)
    data = build.part10(ds)
    body, content_type = multipart([data])
    with httpx.Client(base_url=server.root, timeout=60) as web:
        headers = {"Content-Type": content_type, "Accept": "application/dicom+json"}
        assert web.post("/studies", content=body, headers=headers).status_code == 200
        path = f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
        wado = {
            "requestType": "WADO",
            "studyUID": ds.StudyInstanceUID,
            "seriesUID": ds.SeriesInstanceUID,
            "objectUID": ds.SOPInstanceUID,
            "contentType": "application/dicom",
        }
        wanted = cells(dcmread(io.BytesIO(data)))
        answers = {
            "anonymous": web.get(f"{server.base}/wado", params={**wado, "anonymize": "yes"}),
            "native": web.get(path, headers={"Accept": f"application/dicom; transfer-syntax={ELE}"}),
            "rle": web.get(path, headers={"Accept": f"application/dicom; transfer-syntax={RLE}"}),
        }
        for name, answer in answers.items():
            assert answer.status_code == 200, (name, answer.text[:300])
            found = dcmread(io.BytesIO(answer.content))
            bits = ROWS * COLUMNS * FRAMES * ds.BitsAllocated
            bits *= 2 if case[0].endswith("422") else ds.SamplesPerPixel
            if name != "rle":
                size = (bits + 7) // 8
                assert len(found.PixelData) == size + size % 2, name
            if name == "rle" and ds.BitsAllocated == 1:
                continue  # pydicom has no RLE of single bits
            assert np.array_equal(cells(found), wanted), name
        frame = web.get(
            f"{path}/frames/{FRAMES}",
            headers={"Accept": 'multipart/related; type="application/octet-stream"'},
        )
        assert frame.status_code == 200
        shown = web.get(f"{path}/frames/1/rendered", headers={"Accept": "image/png"})
        assert shown.status_code == 200, shown.text[:300]
