# check.py STATE.pt CORPUS.npz [n]: DER and pitch before -> after for test clips by voice
import sys, random, collections
sys.path.insert(0,'scripts/demo_model')
import numpy as np, torch
from codec import Codec
from clips import Corpus, frames_of
from measures import edits, recognize, pitch, speaker
from voices import RATE
st=torch.load(sys.argv[1]); st=st.get('codec',st)
c=Codec(); c.load_state_dict(st); c.eval()
corpus=Corpus(sys.argv[2]); n=int(sys.argv[3]) if len(sys.argv)>3 else 60
noq = len(sys.argv)>4
test=corpus.part('test'); random.Random(1).shuffle(test); test=test[:n]
tar=[i for i in corpus.part('test') if corpus.meta[i]['voice'].startswith('pico en-GB')]
by=collections.defaultdict(list)
def go(clips,name):
    e=[0,0];d=0;semis=[];lik=[]
    for i in clips:
        s=frames_of(corpus.clip(i)); w=torch.from_numpy(s)[None,None]
        with torch.no_grad():
            lat=c.latent(w,c.semantic(w))
            if not noq:
                q,_,_=c.quantizer(lat.reshape(-1,lat.shape[-1]),learn=False); lat=q.view_as(lat)
            m=c.decode(lat)[0,0].numpy()
        said=corpus.meta[i]['text'].split(); d+=len(said)
        e[0]+=edits(said,recognize(s,RATE)); e[1]+=edits(said,recognize(m,RATE))
        a,b=pitch(s,RATE),pitch(m,RATE)
        if a==a and b==b: semis.append(12*np.log2(b/a)); by[corpus.meta[i]['voice'].split(' ')[0]+' '+corpus.meta[i]['voice'].split(' ')[1]].append((a,b))
        try: lik.append(float(speaker(s,RATE)@speaker(m,RATE)))
        except Exception: pass
    semis=np.array(semis)
    print(f"{name}: {d} digits, orig {100*e[0]/d:.1f} codec {100*e[1]/d:.1f} %; |semitones| mean {np.abs(semis).mean():.2f} median {np.median(np.abs(semis)):.2f}; likeness {np.mean(lik):.3f}",flush=True)
go(test,'test'); go(tar,'target voice, all tracts'); go(corpus.part('stranger')[:20],'stranger')
for k,v in sorted(by.items()): print(k,' '.join(f"{a:.0f}>{b:.0f}" for a,b in v[:8]))
