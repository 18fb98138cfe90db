import sys; sys.path.insert(0,'/tmp/h')
from say import *
from voices import *; from texts import *
dec=HiggsAudioV2TokenizerModel.from_pretrained(D+'codec',dtype=torch.float32).eval()
for eng,name,rate in (("flite","rms",.9),("flite","awb",.9),("pico","en-US",.9),("pico","en-GB",.8),("flite","kal16",.9),("festival","ked_diphone",.9)):
    rng=random.Random(11); e=[0,0];d=0;p=[[],[]]
    for _ in range(22):
        t=draw(rng,True,1.0).split(); s=frames_of(speak(Voice(eng,name,rate=rate)," ".join(t),rng))
        with torch.no_grad(): y=dec.decode(dec.encode(torch.from_numpy(s)[None,None]).audio_codes).audio_values[0,0].numpy()
        d+=len(t); e[0]+=edits(t,recognize(s,RATE)); e[1]+=edits(t,recognize(y,RATE)); p[0].append(pitch(s,RATE)); p[1].append(pitch(y,RATE))
    print(eng,name,d,'%.1f %.1f'%tuple(100*x/d for x in e),'pitch %.0f %.0f'%(np.median(p[0]),np.median(p[1])),flush=True)
