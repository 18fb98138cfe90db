import sys; sys.path.insert(0,'/tmp/h')
from say import *
import soundfile
dec=HiggsAudioV2TokenizerModel.from_pretrained(D+'codec',dtype=torch.float32).eval(); V='/tmp/h/voice'; tv=target_vec(V)
e=[0,0];d=0;p=[[],[]];lk=[]
for l in open(V+'/train.jsonl'):
    m=json.loads(l)['messages']; t=m[1]['content'].split()
    if not set(t)<=set("zero one two three four five six seven eight nine".split()): continue
    s,r=soundfile.read(V+'/'+m[2]['content']['audio_url'],dtype='float32')
    with torch.no_grad(): y=dec.decode(dec.encode(torch.from_numpy(frames_of(s))[None,None]).audio_codes).audio_values[0,0].numpy()
    d+=len(t); e[0]+=edits(t,recognize(s,r)); e[1]+=edits(t,recognize(y,r)); p[0].append(pitch(s,r)); p[1].append(pitch(y,r)); lk.append(float(speaker(y,r)@tv))
print(d,e,[100*x/d for x in e],np.median(p[0]),np.median(p[1]),np.mean(lk))
