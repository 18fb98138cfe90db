import sys; sys.path.insert(0,'scripts/demo_model')
import torch
from train_codec import *
D='work/'
tr=Training(Corpus(D+'corpus.npz'),1,'/tmp/h/x'); tr.codec.load_state_dict(torch.load(D+'codec.joint.pt')); ps=tr._begin('plain')
def low2(made,signal):
    made,signal=(torchaudio.functional.resample(x,RATE,1200,lowpass_filter_width=8) for x in (made,signal))
    return (made-signal).pow(2).mean()/signal.pow(2).mean()
print(torch.load(D+'codec.joint.pt').keys().__len__())
names=['spectral','wave','heard','sem','low','lowbatch','logspec','magspec']
acc={n:[] for n in names}; mean={n:None for n in names}
for it in range(8):
    tr._seed('g',it); s=tr.batch(); f=tr.codec.semantic(s)
    with torch.no_grad(): h=tr._heard(s)
    l=tr.codec.latent(s,f); q,_,_=tr.codec.quantizer(l.reshape(-1,BOTTLENECK),learn=False); q=q.view_as(l); made=tr.codec.decode(q)
    L=tr.loss; lg=mg=0
    for size,_ in L.sizes:
        a,b=L._mel(made,size),L._mel(s,size); lg=lg+(a.clamp(min=2e-3).log10()-b.clamp(min=2e-3).log10()).abs().mean(); mg=mg+.15*(a-b).abs().mean()
    parts=dict(spectral=.3*L(made,s),wave=.3*15*(made-s).abs().mean(),heard=.3*2*(tr._heard(made)-h).pow(2).mean()/tr.heard_scale,sem=.3*.5*(tr.codec.decode_semantic(q)-f).pow(2).mean()/tr.scale,low=4*tr._low(made,s),lowbatch=4*low2(made,s),logspec=.3*lg,magspec=.3*mg)
    for n,p in parts.items():
        g=torch.autograd.grad(p,ps,retain_graph=True,allow_unused=True)
        g=torch.cat([x.flatten() for x in g if x is not None]) if n!='sem' else torch.cat([x.flatten() for x in g if x is not None])
        acc[n].append((p.item(),g.norm().item()))
        if n!='sem': mean[n]=g if mean[n] is None else mean[n]+g
    del parts
for n in names:
    v=acc[n]; print(n,'value %.3f'%(sum(a for a,_ in v)/8),'norms',' '.join('%.1f'%b for _,b in v), 'of the mean %.2f'%(mean[n].norm().item()/8) if mean[n] is not None else '')
print('---')
tr._seed('g',1); s=tr.batch(); f=tr.codec.semantic(s); l=tr.codec.latent(s,f); q,_,_=tr.codec.quantizer(l.reshape(-1,BOTTLENECK),learn=False); q=q.view_as(l); made=tr.codec.decode(q)
nm=[n for n,p in tr.codec.named_parameters() if p.requires_grad]
g=torch.autograd.grad(.3*tr.loss(made,s),ps,retain_graph=True,allow_unused=True)
top=sorted([(x.norm().item(),n,tuple(x.shape)) for n,x in zip(nm,g) if x is not None],reverse=True)[:8]
for t in top: print(t)
b=tr.codec.tokenizer.acoustic_decoder.conv2.bias; print('bias',b, 'grad',[x for n,x in zip(nm,g) if n.endswith('acoustic_decoder.conv2.bias')])
print('made mean',made.mean((1,2)),'signal mean',s.mean((1,2)))
with torch.no_grad():
    for size,_ in tr.loss.sizes:
        a,bb=tr.loss._mel(made,size),tr.loss._mel(s,size)
        d=(a.clamp(min=2e-3).log10()-bb.clamp(min=2e-3).log10()).abs().mean((0,1)); print(size,' '.join('%.2f'%x for x in d.tolist()), '| share at floor', '%.2f'%(bb<2e-3).float().mean())
