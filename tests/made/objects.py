"""Composite objects of the kinds of which packages bring none, each as small as its IOD allows to be of use."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import ImageCms
from pydicom.dataset import Dataset
from tests import build
from tests.made.raw import uid
from tests.made.streams import NUMBERED, SLIDE, colours, compressed, dataset, jpeg, lossy, waves

CLASS = "1.2.840.10008.5.1.4.1.1."


def objects() -> dict[str, bytes]:
    return _documents() | _images() | _slides() | _segments() | _tables()


def plain(name: str, sop_class: str, modality: str, **attributes: Any) -> Dataset:
    """Return an instance without pixels."""
    gone = ("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored")
    values: dict[str, Any] = dict.fromkeys((*gone, "HighBit", "PixelRepresentation", "PixelData"))
    values |= {
        "SOPClassUID": sop_class,
        "SOPInstanceUID": uid(name),
        "StudyInstanceUID": uid(name + "/study"),
        "SeriesInstanceUID": uid(name + "/series"),
        "Modality": modality,
    }
    return build.dataset(**(values | attributes))


def group(**attributes: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def code(value: str, scheme: str, meaning: str) -> Dataset:
    return group(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


# -- what has no pixels ------------------------------------------------------------------------------------


def _documents() -> dict[str, bytes]:
    cda = b'<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3"><title>made</title></ClinicalDocument> '
    pdf = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n%%EOF\n"
    stl = b"solid made".ljust(80) + (1).to_bytes(4, "little") + bytes(50)
    encapsulated = {
        "gen-encapsulated-cda": (CLASS + "104.2", "DOC", "text/XML", cda),
        "gen-encapsulated-pdf": (CLASS + "104.1", "DOC", "application/pdf", pdf),
        "Issue137": (CLASS + "104.3", "M3D", "model/stl", stl),
    }
    made = {}
    for name, (sop_class, modality, media, data) in encapsulated.items():
        ds = plain(name, sop_class, modality, DocumentTitle=name, MIMETypeOfEncapsulatedDocument=media)
        ds.EncapsulatedDocument = data + b"\0" * (len(data) % 2)
        ds.EncapsulatedDocumentLength = len(data)
        ds.BurnedInAnnotation, ds.ConceptNameCodeSequence = "NO", []
        made[f"modality-seg-map-other/{name}.dcm"] = build.part10(ds)
    return made | {
        "modality-sr-ko-pr/sr_document.dcm": build.part10(_report()),
        "modality-sr-ko-pr/kos_key_object_selection.dcm": build.part10(_key_objects()),
        "modality-sr-ko-pr/gen-color-softcopy-pr.dcm": build.part10(_colour_state()),
        "modality-sr-ko-pr/prLUTs.dcm": build.part10(_grey_state()),
        "modality-seg-map-other/gen-ecg-12-lead.dcm": build.part10(_ecg()),
        "modality-seg-map-other/gen-spatial-registration.dcm": build.part10(_registration()),
        "modality-vl-wsi/sm_annotations.dcm": build.part10(_annotations()),
    }


def _content(kind: str, name: Dataset, **attributes: Any) -> Dataset:
    return group(RelationshipType="CONTAINS", ValueType=kind, ConceptNameCodeSequence=[name], **attributes)


def _report() -> Dataset:
    """Return a Comprehensive 3D SR with a heading, text, a measurement, a code and a reference."""
    measured = group(NumericValue="12.5", MeasurementUnitsCodeSequence=[code("mm", "UCUM", "millimeter")])
    finding = code("121071", "DCM", "Finding")
    image = group(ReferencedSOPClassUID=build.CT_IMAGE, ReferencedSOPInstanceUID=uid("seen"))
    ds = plain("sr_document", CLASS + "88.34", "SR", ValueType="CONTAINER", ContinuityOfContent="SEPARATE")
    ds.CompletionFlag, ds.VerificationFlag, ds.ContentDate, ds.ContentTime = (
        "COMPLETE",
        "UNVERIFIED",
        "20240131",
        "1200",
    )
    ds.ConceptNameCodeSequence = [code("126000", "DCM", "Imaging Measurement Report")]
    ds.ContentSequence = [
        _content("TEXT", finding, TextValue="A nodule & nothing <else>."),
        _content("NUM", code("121206", "DCM", "Distance"), MeasuredValueSequence=[measured]),
        _content("CODE", finding, ConceptCodeSequence=[code("M-03000", "SRT", "Mass")]),
        _content("PNAME", code("121008", "DCM", "Person Observer Name"), PersonName="Reader^First"),
        _content("DATE", code("111060", "DCM", "Study Date"), Date="20240131"),
        _content("IMAGE", code("111040", "DCM", "Original Source"), ReferencedSOPSequence=[image]),
        _content("CONTAINER", finding, ContinuityOfContent="SEPARATE", ContentSequence=[]),
    ]
    return ds


def _key_objects() -> Dataset:
    ds = plain("kos_key_object_selection", CLASS + "88.59", "KO", ValueType="CONTAINER")
    image = group(ReferencedSOPClassUID=build.CT_IMAGE, ReferencedSOPInstanceUID=uid("seen"))
    series = group(SeriesInstanceUID=uid("seen/series"), ReferencedSOPSequence=[image])
    ds.CurrentRequestedProcedureEvidenceSequence = [
        group(StudyInstanceUID=ds.StudyInstanceUID, ReferencedSeriesSequence=[series])
    ]
    ds.ConceptNameCodeSequence = [code("113000", "DCM", "Of Interest")]
    ds.ContinuityOfContent = "SEPARATE"
    ds.ContentSequence = [
        group(RelationshipType="CONTAINS", ValueType="IMAGE", ReferencedSOPSequence=[image])
    ]
    return ds


def _colour_state() -> Dataset:
    ds = plain("gen-color-softcopy-pr", CLASS + "11.2", "PR", ContentLabel="COLOR", ICCProfile=_profile())
    ds.PresentationCreationDate, ds.PresentationCreationTime, ds.ReferencedSeriesSequence = (
        "20200102",
        "1200",
        [],
    )
    return ds


def _table(entries: range, explanation: str) -> Dataset:
    ds = group(LUTDescriptor=[len(entries), 0, 16], LUTExplanation=explanation)
    ds.add_new(0x00283006, "OW", np.array(entries, "<u2").tobytes())
    return ds


def _grey_state() -> Dataset:
    ds = plain("prLUTs", CLASS + "11.1", "PR", ContentLabel="LUTS", ReferencedSeriesSequence=[], **NUMBERED)
    ds.PresentationCreationDate, ds.PresentationCreationTime = "20200102", "1200"
    modality = _table(range(0, 65536, 256), "MADE")
    modality.ModalityLUTType = "US"
    ds.ModalityLUTSequence = [modality]
    ds.SoftcopyVOILUTSequence = [group(VOILUTSequence=[_table(range(0, 65536, 256), "VOI")])]
    ds.PresentationLUTSequence = [_table(range(0, 65536, 256), "P")]
    return ds


def _ecg() -> Dataset:
    wave = (np.sin(np.arange(100)[:, None] / 9 + np.arange(12)) * 900).astype("<i2")
    unit = [code("uV", "UCUM", "microvolt")]
    channels = [
        group(ChannelSourceSequence=[code(f"5.6.3-9-{n + 1}", "SCPECG", f"Lead {n + 1}")], WaveformBitsStored=16,
              ChannelSensitivity="1", ChannelSensitivityUnitsSequence=unit)
        for n in range(12)
    ]  # fmt: skip
    one = group(WaveformOriginality="ORIGINAL", NumberOfWaveformChannels=12, NumberOfWaveformSamples=100)
    one.SamplingFrequency, one.ChannelDefinitionSequence = "500", channels
    one.WaveformBitsAllocated, one.WaveformSampleInterpretation = 16, "SS"
    one.add_new(0x54001010, "OW", wave.tobytes())
    return plain("gen-ecg-12-lead", CLASS + "9.1.1", "ECG", WaveformSequence=[one])


def _registration() -> Dataset:
    matrix = group(FrameOfReferenceTransformationMatrixType="RIGID")
    matrix.FrameOfReferenceTransformationMatrix = [1, 0, 0, 5, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    registration = group(MatrixRegistrationSequence=[group(MatrixSequence=[matrix])])
    return plain("gen-spatial-registration", CLASS + "66.1", "REG", RegistrationSequence=[registration])


def _annotations() -> Dataset:
    points = np.linspace(0, 63, 40).astype("<f4")
    one = group(
        AnnotationGroupNumber=1, AnnotationGroupLabel="made", GraphicType="POLYLINE", NumberOfAnnotations=2
    )
    one.add_new(0x00660016, "OF", points.tobytes())
    one.add_new(0x00660040, "OL", np.array([1, 21], "<u4").tobytes())
    one.add_new(0x00660022, "OD", np.arange(6, dtype="<f8").tobytes())
    return plain("sm_annotations", CLASS + "91.1", "ANN", AnnotationGroupSequence=[one])


# -- images ------------------------------------------------------------------------------------------------


def _frames(count: int, side: int, kind: str = "<u2", top: int = 4095) -> list[bytes]:
    return [waves(side, top, n).astype(kind).tobytes() for n in range(count)]


def _images() -> dict[str, bytes]:
    shape = waves(8)
    many = {
        "modality-us-nm-pt/gen-enhanced-pet.dcm": (CLASS + "130", "PT"),
        "modality-xray/gen-breast-tomo.dcm": (CLASS + "13.1.3", "MG"),
        "modality-us-nm-pt/gen-nm-vectors.dcm": (CLASS + "20", "NM"),
        "modality-ct-mr/mf.dcm": (CLASS + "2.2", "CT"),
        "pixels/made-frame-windows.dcm": (CLASS + "7.3", "OT"),
    }
    made = {}
    for name, (sop_class, modality) in many.items():
        ds = dataset(name, shape, _frames(4, 8), SOPClassUID=sop_class, Modality=modality)
        _ENRICH.get(name, _grouped)(ds)
        made[name] = build.part10(ds)
    slices = dataset(
        "gen-opt",
        shape.astype("u1"),
        _frames(4, 8, "u1", 255),
        Modality="OPT",
        SOPClassUID=CLASS + "77.1.5.4",
    )
    bits = dataset("gen-mf-single-bit-sc", np.zeros((5, 5), "u1"), [b"\x49\x92\x24" * 3 + b"\1"], **_BITS)
    odd = dataset("gen-mf-byte-sc", np.zeros((5, 5), "u1"), [bytes(range(75)) + b"\0"], NumberOfFrames=3)
    odd.SOPClassUID = CLASS + "7.2"
    rgb = dataset("SC_rgb_small_odd", colours(3), [colours(3).tobytes() + b"\0"])
    return made | {
        "modality-vl-wsi/gen-opt.dcm": _bytes(slices),
        "modality-seg-map-other/gen-mf-single-bit-sc.dcm": _bytes(bits),
        "modality-seg-map-other/gen-mf-byte-sc.dcm": _bytes(odd),
        "pixels/SC_rgb_small_odd.dcm": _bytes(rgb),
        "pixels/ovly_p01.dcm": build.part10(_overlay()),
        "pixels/test16signed.dcm": build.part10(_signed("test16signed", 16)),
        "pixels/signed-raw-9bit.dcm": build.part10(_signed("signed-raw-9bit", 9)),
        "pixels/TestPattern_Palette.dcm": _bytes(_palette()),
        "modality-xray/dx_image.dcm": build.part10(_inverse()),
        "modality-rt/explicit_rtdose_16bit_mono2_3d-volume.dcm": build.part10(_dose()),
    }


_BITS: dict[str, Any] = {
    "SOPClassUID": CLASS + "7.1",
    "NumberOfFrames": 3,
    "BitsAllocated": 1,
    "BitsStored": 1,
    "HighBit": 0,
}


def _bytes(ds: Dataset) -> bytes:
    ds["PixelData"].VR = "OB"
    return build.part10(ds)


def _grouped(ds: Dataset) -> None:
    """Add functional groups: spacing for all, place, window and rescaling for each (PS3.3 C.7.6.16)."""
    spacing = group(PixelSpacing=["0.5", "0.5"], SliceThickness="2")
    turned = group(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])
    ds.SharedFunctionalGroupsSequence = [
        group(PixelMeasuresSequence=[spacing], PlaneOrientationSequence=[turned])
    ]
    ds.PerFrameFunctionalGroupsSequence = [
        group(
            PlanePositionSequence=[group(ImagePositionPatient=["0", "0", str(2 * n)])],
            FrameVOILUTSequence=[group(WindowCenter=str(1000 + 200 * n), WindowWidth="2000")],
            PixelValueTransformationSequence=[
                group(RescaleIntercept="-10", RescaleSlope="2", RescaleType="US")
            ],
            FrameContentSequence=[group(DimensionIndexValues=[1, 4 - n])],
        )
        for n in range(int(ds.NumberOfFrames))
    ]


def _vectors(ds: Dataset) -> None:
    ds.FrameIncrementPointer = [0x00540010, 0x00540020]
    ds.EnergyWindowVector, ds.DetectorVector = [1, 1, 2, 2], [1, 2, 1, 2]


_ENRICH = {"modality-us-nm-pt/gen-nm-vectors.dcm": _vectors}


def _overlay() -> Dataset:
    """Return 12 bits with two overlays: one in the bits above, one with data of its own (PS3.5 8.1.2)."""
    cells = waves(192) | (np.eye(192, dtype="u2") << 12)
    ds = dataset("ovly_p01", cells, [cells.tobytes()], WindowCenter="2000", WindowWidth="4000", **NUMBERED)
    for offset, position in ((0x60000000, 12), (0x60040000, 0)):
        for number, vr, value in (
            (0x10, "US", 192),
            (0x11, "US", 192),
            (0x40, "CS", "G"),
            (0x50, "SS", [1, 1]),
        ):
            ds.add_new(offset | number, vr, value)
        ds.add_new(offset | 0x100, "US", 16 if position else 1)
        ds.add_new(offset | 0x102, "US", position)
    ds.add_new(0x60043000, "OW", np.packbits(np.fliplr(np.eye(192, dtype="u1"))).tobytes())
    return ds


def _signed(name: str, bits: int) -> Dataset:
    values = (waves(64, (1 << bits) - 1).astype("i4") - (1 << bits - 1)).astype("<i2")
    return dataset(name, values, [values.tobytes()], PixelRepresentation=1, BitsStored=bits, HighBit=bits - 1)


def _palette() -> Dataset:
    values = waves(128, 255).astype("u1")
    ds = dataset("TestPattern_Palette", values, [values.tobytes()], PhotometricInterpretation="PALETTE COLOR")
    ramp = np.arange(256, dtype="<u2") * 257
    for name, table in (("Red", ramp), ("Green", ramp[::-1]), ("Blue", ramp // 2)):
        setattr(ds, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(ds, f"{name}PaletteColorLookupTableData", table.astype("<u2").tobytes())
    return ds


def _inverse() -> Dataset:
    values = waves(96, 16383)
    more = {"PhotometricInterpretation": "MONOCHROME1", "SOPClassUID": CLASS + "1.1", "Modality": "DX"}
    ds = dataset("dx_image", values, [values.tobytes()], BitsStored=14, HighBit=13, **more)
    ds.WindowCenter, ds.WindowWidth = "8192", "12000"
    return ds


def _dose() -> Dataset:
    ds = dataset("dose", waves(16), _frames(70, 16), SOPClassUID=CLASS + "481.2", Modality="RTDOSE")
    ds.DoseUnits, ds.DoseType, ds.DoseSummationType, ds.DoseGridScaling = "GY", "PHYSICAL", "PLAN", "0.001"
    ds.GridFrameOffsetVector = [str(2 * n) for n in range(70)]
    ds.ImagePositionPatient, ds.PixelSpacing = ["0", "0", "0"], ["2", "2"]
    ds.ImageOrientationPatient, ds.FrameIncrementPointer = ["1", "0", "0", "0", "1", "0"], 0x3004000C
    return ds


# -- slides ------------------------------------------------------------------------------------------------


def _profile() -> bytes:
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes().ljust(2048, b"\0"))
    data[:4] = len(data).to_bytes(4, "big")
    data[24:36] = bytes(12)  # when it was made: never the same twice
    return bytes(data)


def _slide(ds: Dataset, dimension: str) -> Dataset:
    """Make it a slide of 2 x 2 tiles with an optical path that has a profile (PS3.3 C.8.12.4, C.8.12.5)."""
    ds.SOPClassUID, ds.Modality, ds.ImageType = SLIDE, "SM", ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    ds.TotalPixelMatrixColumns = ds.TotalPixelMatrixRows = 2 * ds.Columns
    ds.DimensionOrganizationType = dimension
    path = group(OpticalPathIdentifier="1", ICCProfile=_profile())
    ds.OpticalPathSequence = [path]
    if dimension == "TILED_SPARSE":
        places = [(1, 1), (33, 1), (1, 33), (33, 33)]
        ds.PerFrameFunctionalGroupsSequence = [
            group(
                PlanePositionSlideSequence=[
                    group(ColumnPositionInTotalImagePixelMatrix=x, RowPositionInTotalImagePixelMatrix=y)
                ]
            )
            for x, y in places
        ]
    return ds


def _slides() -> dict[str, bytes]:
    tiles = [colours(32, n) for n in range(4)]
    native = dataset("sm_image", tiles[0], [tile.tobytes() for tile in tiles])
    coded = {
        "modality-vl-wsi/sm_image_jpegls.dcm": True,
        "modality-vl-wsi/sm_image_jpegls_nobot.dcm": False,
    }
    made = {"modality-vl-wsi/sm_image.dcm": _bytes(_slide(native, "TILED_FULL"))}
    for name, table in coded.items():
        made[name] = _compressed_slide(name, table)
    jpegs = [jpeg(tile) for tile in tiles]
    made["modality-vl-wsi/made-slide-jpeg.50.dcm"] = compressed(
        "made-slide-jpeg", "1.2.840.10008.1.2.4.50", tiles[0], jpegs,
        SOPClassUID=SLIDE, Modality="SM", PhotometricInterpretation="YBR_FULL_422", **lossy("ISO_10918_1"),
    )  # fmt: skip
    return made


def _compressed_slide(name: str, table: bool) -> bytes:
    import imagecodecs
    from pydicom.encaps import encapsulate

    tiles = [colours(32, n) for n in range(4)]
    frames = [bytes(imagecodecs.jpegls_encode(tile)) for tile in tiles]
    ds = _slide(dataset(name, tiles[0], frames), "TILED_SPARSE")
    ds.PixelData = encapsulate(frames, has_bot=table)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return build.part10(ds, "1.2.840.10008.1.2.4.80")


# -- segments, maps ----------------------------------------------------------------------------------------


def _segment(number: int) -> Dataset:
    ds = group(SegmentNumber=number, SegmentLabel=f"made {number}", SegmentAlgorithmType="MANUAL")
    ds.SegmentedPropertyCategoryCodeSequence = [code("T-D0050", "SRT", "Tissue")]
    ds.SegmentedPropertyTypeCodeSequence = [code("T-D0050", "SRT", "Tissue")]
    ds.RecommendedDisplayCIELabValue = [40000, 20000 + 9000 * number, 30000]
    return ds


def _of(*numbers: int) -> list[Dataset]:
    return [
        group(SegmentIdentificationSequence=[group(ReferencedSegmentNumber=number)]) for number in numbers
    ]


def _segments() -> dict[str, bytes]:
    circle = (np.hypot(*(np.mgrid[:16, :16] - 7.5)) < 6).astype("u1")
    packed = [
        np.packbits(plane, bitorder="little").tobytes() for plane in (circle, circle.T[::-1], 1 - circle)
    ]
    seg = CLASS + "66.4"
    overlap = dataset("overlap", circle, packed, **(_BITS | {"SOPClassUID": seg, "Modality": "SEG"}))
    overlap.SegmentationType, overlap.SegmentSequence = "BINARY", [_segment(n) for n in (1, 2, 3)]
    for segment in overlap.SegmentSequence:
        del segment.RecommendedDisplayCIELabValue
    overlap.PerFrameFunctionalGroupsSequence = _of(1, 2, 3)
    part = dataset("fractional", circle, [(circle * level).tobytes() for level in (50, 200)], SOPClassUID=seg)
    part.SegmentationType, part.SegmentationFractionalType = "FRACTIONAL", "PROBABILITY"
    part.MaximumFractionalValue, part.SegmentSequence, part.Modality = 200, [_segment(1), _segment(2)], "SEG"
    part.PerFrameFunctionalGroupsSequence = _of(1, 2)
    odd = dataset("nonbyte", np.zeros((5, 5), "u1"), [b"\x49\x92\x24" * 3 + b"\1"], **_BITS)
    odd.SOPClassUID, odd.Modality, odd.SegmentationType = seg, "SEG", "BINARY"
    odd.SegmentSequence, odd.PerFrameFunctionalGroupsSequence = [_segment(1)], _of(1, 1, 1)
    return {
        "modality-seg-map-other/seg_image_ct_binary_overlap.dcm": _bytes(overlap),
        "modality-seg-map-other/seg_image_ct_binary_fractional.dcm": _bytes(part),
        "pixels/liver_nonbyte_aligned.dcm": _bytes(odd),
    }


def _tables() -> dict[str, bytes]:
    """Return parametric maps: Float and Double Float Pixel Data (PS3.3 C.7.6.24, C.7.6.25)."""
    made = {}
    for name, tag, vr, kind, bits in (
        ("parametric_map_float", 0x7FE00008, "OF", "<f4", 32),
        ("parametric_map_double_float", 0x7FE00009, "OD", "<f8", 64),
    ):
        values = (waves(32, 4000).astype(kind) - 2000) / 7
        ds = dataset(
            name, waves(32), [], SOPClassUID=CLASS + "30", Modality="OT", BitsAllocated=bits, PixelData=None
        )
        for keyword in ("BitsStored", "HighBit", "PixelRepresentation"):
            delattr(ds, keyword)
        ds.NumberOfFrames = 1
        ds.add_new(tag, vr, values.tobytes())
        made[f"modality-seg-map-other/{name}.dcm"] = build.part10(ds)
    return made
