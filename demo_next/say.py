import sys; sys.path.insert(0,'scripts/demo_model')
import json, random
import numpy as np, torch
from transformers import HiggsAudioV2ForConditionalGeneration, HiggsAudioV2TokenizerModel
from tokenizers import Tokenizer
import codec
from base_model import *
from measures import edits, recognize, pitch, speaker
from clips import frames_of
from voices import RATE
D='work/'

def load(base=D+'base'):
    lm=HiggsAudioV2ForConditionalGeneration.from_pretrained(base,dtype=torch.float32)
    return lm.eval(), Tokenizer.from_file(base+'/tokenizer.json')

@torch.no_grad()
def generate(lm, tok, texts, temperature=0.4, top_k=20, longest=110, seed=1, scene=''):
    """codes per text (8,T) and whether stopped; batches of equal prompt length"""
    torch.manual_seed(seed)
    out=[None]*len(texts); ids=[prompt(tok,t,scene) for t in texts]
    for n in sorted(set(map(len,ids))):
        which=[i for i in range(len(texts)) if len(ids[i])==n]
        p=torch.tensor([ids[i] for i in which]); B=len(which)
        rows=torch.full((B,1,8),BOS); end=torch.full((B,),-1)
        for t in range(longest):
            # forward's logits at position t are of row t: give a dummy row
            logits=forward(lm,p,torch.cat([rows,torch.full((B,1,8),EOS)],1))[:,-1] if t else None
            # row 0 is all BOS given; logits of row t predicted from rows < t
            if t==0: continue
            l=logits/temperature
            kth=l.topk(top_k,-1).values[...,-1:]; l=l.masked_fill(l<kth,-1e9)
            l[...,BOS]=-1e9
            new=torch.multinomial(torch.softmax(l,-1).flatten(0,1),1).view(B,8)
            for k in range(8):
                if k>t-1: new[:,k]=BOS
            for b in range(B):
                if end[b]<0 and new[b,0]==EOS: end[b]=t
                if end[b]>=0:
                    for k in range(8):
                        if k<=t-end[b]: new[b,k]=EOS
            rows=torch.cat([rows,new[:,None]],1)
            if (end>=0).all() and t>=end.max()+7: break
        for j,i in enumerate(which):
            e=int(end[j]); T=(e if e>=0 else rows.shape[1]-8)-1
            T=max(1,T)
            c=torch.stack([rows[j,1+k:1+k+T,k] for k in range(8)]).clamp(max=codec.ENTRIES-1)
            out[i]=(c,e>=0)
    return out

def unseen(n):
    import subprocess
    r=subprocess.run([sys.executable,'scripts/demo_model/unseen_texts.py',str(n)],capture_output=True,text=True,check=True).stdout
    return [json.loads(l)['messages'][1]['content'] for l in r.splitlines()]

def target_vec(folder):
    import soundfile
    v=[]
    for l in open(folder+'/train.jsonl'):
        s,r=soundfile.read(folder+'/'+json.loads(l)['messages'][2]['content']['audio_url'],dtype='float32'); v.append(speaker(s,r))
    v=np.mean(v,0); return v/np.linalg.norm(v)

@torch.no_grad()
def measure(name, lm, tok, dec, texts, target=None, wav=None, seed=1, temperature=.4):
    lm.eval(); out=generate(lm,tok,texts,seed=seed,temperature=temperature)
    e=d=0; p=[]; lik=[]; stops=0
    for n,(t,(c,s)) in enumerate(zip(texts,out)):
        m=dec.decode(c[None]).audio_values[0,0].numpy(); stops+=s
        if wav: 
            import soundfile; soundfile.write(f"{wav}_{n:02}.wav",m,RATE)
        e+=edits(t.split(),recognize(m,RATE)); d+=len(t.split()); p.append(pitch(m,RATE))
        if target is not None:
            try: lik.append(float(speaker(m,RATE)@target))
            except Exception: lik.append(0)
    p=np.array(p)
    print(f"{name}: DER {100*e/d:.1f} % of {d}, stops {stops}/{len(texts)}, pitch {np.nanmedian(p):.0f} ({np.nanpercentile(p,10):.0f}-{np.nanpercentile(p,90):.0f}), likeness {np.mean(lik) if lik else 0:.3f}",flush=True)
    return e/d
