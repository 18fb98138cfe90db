# lora.py LR RANK BATCH EVAL_STEPS(comma) [alpha]
from importlib import import_module
import sys; sys.path.insert(0,'/tmp/h')
from say import *
import math, time, torch.nn.functional as F, soundfile
from peft import LoraConfig, get_peft_model
lr,rank,batch=float(sys.argv[1]),int(sys.argv[2]),int(sys.argv[3]); marks=[int(x) for x in sys.argv[4].split(',')]; drop=float(sys.argv[5]) if len(sys.argv)>5 else 0.0
V='/tmp/h/voice'
dec=HiggsAudioV2TokenizerModel.from_pretrained(D+'codec',dtype=torch.float32).eval()
lm,tok=load()
def data(part):
    o=[]
    for l in open(f'{V}/{part}.jsonl'):
        m=json.loads(l)['messages']; s,r=soundfile.read(V+'/'+m[2]['content']['audio_url'],dtype='float32')
        with torch.no_grad(): c=dec.encode(torch.from_numpy(frames_of(s))[None,None]).audio_codes[0]
        o.append((prompt(tok,m[1]['content']),delay(c)))
    return o
train,val=data('train'),data('val')
t=target_vec(V); texts=unseen(60)
if '--base' in sys.argv: measure('base',lm,tok,dec,texts,t,'/tmp/h/wav/base')
names=[n for n,m in lm.named_modules() if isinstance(m,torch.nn.Linear) and 'layers' in n]
lm=get_peft_model(lm,LoraConfig(r=rank,lora_alpha=2*rank,target_modules=names,lora_dropout=drop))
torch.manual_seed(0)
inner=lm.base_model.model
ps=[p for p in lm.parameters() if p.requires_grad]; opt=torch.optim.AdamW(ps,lr=lr,weight_decay=0.0)
def loss_of(items):
    tot=torch.zeros(8);cnt=torch.zeros(8)
    for ids,rows in items:
        _,r,lab=collate([ids],[rows])
        # one EOS per codebook is supervised
        for k in range(8):
            e=(lab[0,:,k]==EOS).nonzero().flatten()
            if len(e): lab[0,e[0]+1:,k]=-100
        lg=forward(inner,torch.tensor([ids]),r,)
        l=F.cross_entropy(lg.flatten(0,2),lab.flatten(),ignore_index=-100,reduction='none').view(lab.shape).sum((0,1))
        tot=tot+l; cnt=cnt+(lab!=-100).sum((0,1))
    return (tot/cnt)
def ev():
    with torch.no_grad(): return loss_of(val)
print(sys.argv[1:], 'val', ' '.join(f'{x:.2f}' for x in ev()), f'{ev().mean():.3f}',flush=True)
rng=random.Random(0); total=marks[-1]; pool=[]; t0=time.time()
for step in range(total):
    if len(pool)<batch: pool=list(range(len(train))); rng.shuffle(pool)
    b=[train[pool.pop()] for _ in range(batch)]
    opt.param_groups[0]['lr']=lr*min(1,(step+1)/max(1,.03*total))*.5*(1+math.cos(math.pi*step/total))
    lm.train(); l=loss_of(b).mean(); l.backward(); torch.nn.utils.clip_grad_norm_(ps,1.0); opt.step(); opt.zero_grad()
    if step+1 in marks:
        v=ev(); print(f'step {step+1} {time.time()-t0:.0f}s train {l:.3f} val {v.mean():.3f}', ' '.join(f'{x:.2f}' for x in v),flush=True)
        measure(f'lora {sys.argv[1:4]} {step+1}',inner,tok,dec,texts,t,'/tmp/h/wav/lora')
