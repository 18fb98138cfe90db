"""boson_multimodal, imported without the packages that its parts in use never call.

Its codec takes two layer classes from descript-audio-codec, whose own packages import descript-audiotools (with
matplotlib, tensorboard, ... behind it) for audio files and losses that aren't used here: the packages' __init__ files
are passed over, and the two audiotools names that class definitions mention stand for nothing.
"""

import importlib.util
import os
import sys
import types

from torch import nn


def package(name, folder):
    module = types.ModuleType(name)
    module.__path__ = [folder]
    sys.modules[name] = module


dac = importlib.util.find_spec("dac").submodule_search_locations[0]
package("dac", dac)
package("dac.nn", os.path.join(dac, "nn"))
audiotools, audiotools_ml = types.ModuleType("audiotools"), types.ModuleType("audiotools.ml")
audiotools.AudioSignal, audiotools_ml.BaseModel = object, nn.Module
sys.modules["audiotools"], sys.modules["audiotools.ml"] = audiotools, audiotools_ml

from boson_multimodal.audio_processing import higgs_audio_tokenizer  # noqa: E402, F401
from boson_multimodal.data_collator.higgs_audio_collator import HiggsAudioSampleCollator  # noqa: E402, F401
from boson_multimodal.dataset.chatml_dataset import ChatMLDatasetSample, prepare_chatml_sample  # noqa: E402, F401
from boson_multimodal.model.higgs_audio import HiggsAudioConfig, HiggsAudioEncoderConfig, HiggsAudioModel  # noqa: E402, F401
