"""May the sync expert be believed? Planted shifts and swapped sounds on held-out real clips.

    python3 tools/host.py python benchmarks/sync_trust.py --clips ../shared/data/grid_s1
    python3 tools/host.py python benchmarks/sync_trust.py --clips ../shared/data/evaluation --halves

Every clip is tracked once. Sounds are shifted by -6..+6 steps of 40 ms and heard anew. Without
--halves the truth is 0 (studio recordings); with it, what the expert says of the clip's other half.
--second names another expert, whose offsets of whole clips are set beside the first one's.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from lipsync_core import weights
from lipsync_core.audio.encoder import load_speech_encoder
from lipsync_core.audio.features import encode_speech
from lipsync_core.checkpoint import load_model, read_header
from lipsync_core.evaluation.bench import UNFIT, check_window
from lipsync_core.evaluation.clips import SPLITS_FILE, evaluated_clips, find_clips, read_splits
from lipsync_core.evaluation.measured_face import measure_face
from lipsync_core.evaluation.overlap import refuse_overlap
from lipsync_core.evaluation.sync_measures import JUDGE, mouth_at_steps
from lipsync_core.evaluation.sync_trust import HeardLips, judge, trust
from lipsync_core.face.landmarking import FaceLandmarker
from lipsync_core.media.file_clip import open_clip
from lipsync_core.sync.expert import PIXELS, SyncExpert


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--expert", type=Path, default=weights.SHIPPED / JUDGE)
    parser.add_argument("--second", type=Path)
    parser.add_argument("--halves", action="store_true")
    parser.add_argument("--longer-than", type=float, default=0.0, help="seconds")
    parser.add_argument("--limit", type=int)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    splits = arguments.clips / SPLITS_FILE
    found = find_clips(arguments.clips, read_splits(splits) if splits.is_file() else None)
    clips = evaluated_clips(found, limit=arguments.limit)
    expert = load_model(arguments.expert, SyncExpert)
    refuse_overlap({arguments.expert.name: read_header(arguments.expert)}, clips)
    landmarker = FaceLandmarker.load(weights.find(weights.FACE_LANDMARKER))
    encoder = load_speech_encoder(weights.find(weights.SPEECH_ENCODER))
    heard = []
    for clip in clips:
        pictures = open_clip(clip.path)
        try:
            audio = check_window(pictures)
            face = measure_face(landmarker, pictures)
        except UNFIT as error:
            print(f"left out {clip.name}: {error}", file=sys.stderr)
            continue
        if pictures.duration > arguments.longer_than:
            pixels = expert.config.sees == PIXELS
            lips = mouth_at_steps(pictures, face) if pixels else face.lips.float()
            heard.append(HeardLips(clip.name, lips, face.valid, audio))

    def hear(audio):
        return encode_speech(encoder, audio)

    second = load_model(arguments.second, SyncExpert) if arguments.second else None
    for clip in heard:
        score = judge(expert, hear, clip)
        line = {"clip": clip.name, "offset": score.offset, "confidence": round(score.confidence, 2)}
        if second is not None:
            line["second"] = judge(second, hear, clip).offset
        print(json.dumps(line), flush=True)
    print(json.dumps(asdict(trust(expert, hear, heard, arguments.halves)), indent=1))


if __name__ == "__main__":
    main()
