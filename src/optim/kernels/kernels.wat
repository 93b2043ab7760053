;; In-place arithmetic of the optimisers on float32 data, four lanes at a time (WebAssembly SIMD, one thread).
;;
;; Pointers are byte addresses in the imported memory and need no alignment; $n counts floats. Every kernel runs
;; whole vectors first and then the last n mod 4 floats through lane 0 of the same instructions, so a value does
;; not depend on where in its tensor it stands. Settings come as f64 and are combined before they are rounded:
;; 1 - 0.999 computed in float32 would be off by 5e-5.
;;
;; Rebuild kernels.wasm.ts after every change: node scripts/build-kernels.mjs
(module
  (import "env" "memory" (memory 1))

  ;; AdamW as PyTorch computes it (torch.optim.AdamW, amsgrad off), with g scaled on the way in:
  ;;   m = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g^2
  ;;   p = p (1 - lr weightDecay) - (lr / bias1) m / (sqrt(v) / sqrt(bias2) + eps),   bias_i = 1 - beta_i^t
  (func (export "adamw")
    (param $p i32) (param $g i32) (param $m i32) (param $v i32) (param $n i32)
    (param $lr f64) (param $beta1 f64) (param $beta2 f64) (param $eps f64) (param $weightDecay f64)
    (param $bias1 f64) (param $bias2 f64) (param $gradScale f64)
    (local $b1 v128) (local $c1 v128) (local $b2 v128) (local $c2 v128)
    (local $keep v128) (local $step v128) (local $root v128) (local $e v128) (local $scale v128)
    (local $gx v128) (local $mx v128) (local $vx v128)
    (local.set $b1 (f32x4.splat (f32.demote_f64 (local.get $beta1))))
    (local.set $c1 (f32x4.splat (f32.demote_f64 (f64.sub (f64.const 1) (local.get $beta1)))))
    (local.set $b2 (f32x4.splat (f32.demote_f64 (local.get $beta2))))
    (local.set $c2 (f32x4.splat (f32.demote_f64 (f64.sub (f64.const 1) (local.get $beta2)))))
    (local.set $keep (f32x4.splat (f32.demote_f64 (f64.sub (f64.const 1) (f64.mul (local.get $lr) (local.get $weightDecay))))))
    (local.set $step (f32x4.splat (f32.demote_f64 (f64.div (local.get $lr) (local.get $bias1)))))
    (local.set $root (f32x4.splat (f32.demote_f64 (f64.div (f64.const 1) (f64.sqrt (local.get $bias2))))))
    (local.set $e (f32x4.splat (f32.demote_f64 (local.get $eps))))
    (local.set $scale (f32x4.splat (f32.demote_f64 (local.get $gradScale))))
    (block $vectorsDone
      (loop $vectors
        (br_if $vectorsDone (i32.lt_u (local.get $n) (i32.const 4)))
        (local.set $gx (f32x4.mul (v128.load (local.get $g)) (local.get $scale)))
        (local.set $mx (f32x4.add (f32x4.mul (v128.load (local.get $m)) (local.get $b1)) (f32x4.mul (local.get $gx) (local.get $c1))))
        (local.set $vx (f32x4.add (f32x4.mul (v128.load (local.get $v)) (local.get $b2))
                                  (f32x4.mul (f32x4.mul (local.get $gx) (local.get $gx)) (local.get $c2))))
        (v128.store (local.get $m) (local.get $mx))
        (v128.store (local.get $v) (local.get $vx))
        (v128.store (local.get $p)
          (f32x4.sub (f32x4.mul (v128.load (local.get $p)) (local.get $keep))
            (f32x4.div (f32x4.mul (local.get $step) (local.get $mx))
              (f32x4.add (f32x4.mul (f32x4.sqrt (local.get $vx)) (local.get $root)) (local.get $e)))))
        (local.set $p (i32.add (local.get $p) (i32.const 16)))
        (local.set $g (i32.add (local.get $g) (i32.const 16)))
        (local.set $m (i32.add (local.get $m) (i32.const 16)))
        (local.set $v (i32.add (local.get $v) (i32.const 16)))
        (local.set $n (i32.sub (local.get $n) (i32.const 4)))
        (br $vectors)))
    (block $done
      (loop $tail
        (br_if $done (i32.eqz (local.get $n)))
        (local.set $gx (f32x4.mul (v128.load32_zero (local.get $g)) (local.get $scale)))
        (local.set $mx (f32x4.add (f32x4.mul (v128.load32_zero (local.get $m)) (local.get $b1)) (f32x4.mul (local.get $gx) (local.get $c1))))
        (local.set $vx (f32x4.add (f32x4.mul (v128.load32_zero (local.get $v)) (local.get $b2))
                                  (f32x4.mul (f32x4.mul (local.get $gx) (local.get $gx)) (local.get $c2))))
        (v128.store32_lane 0 (local.get $m) (local.get $mx))
        (v128.store32_lane 0 (local.get $v) (local.get $vx))
        (v128.store32_lane 0 (local.get $p)
          (f32x4.sub (f32x4.mul (v128.load32_zero (local.get $p)) (local.get $keep))
            (f32x4.div (f32x4.mul (local.get $step) (local.get $mx))
              (f32x4.add (f32x4.mul (f32x4.sqrt (local.get $vx)) (local.get $root)) (local.get $e)))))
        (local.set $p (i32.add (local.get $p) (i32.const 4)))
        (local.set $g (i32.add (local.get $g) (i32.const 4)))
        (local.set $m (i32.add (local.get $m) (i32.const 4)))
        (local.set $v (i32.add (local.get $v) (i32.const 4)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $tail))))

  ;; SGD with momentum as PyTorch computes it (dampening 0, no Nesterov); m starts at zero:
  ;;   m = momentum m + (gradScale g + weightDecay p);   p = p - lr m
  (func (export "sgd")
    (param $p i32) (param $g i32) (param $m i32) (param $n i32)
    (param $lr f64) (param $momentum f64) (param $weightDecay f64) (param $gradScale f64)
    (local $rate v128) (local $mu v128) (local $decay v128) (local $scale v128) (local $px v128) (local $mx v128)
    (local.set $rate (f32x4.splat (f32.demote_f64 (local.get $lr))))
    (local.set $mu (f32x4.splat (f32.demote_f64 (local.get $momentum))))
    (local.set $decay (f32x4.splat (f32.demote_f64 (local.get $weightDecay))))
    (local.set $scale (f32x4.splat (f32.demote_f64 (local.get $gradScale))))
    (block $vectorsDone
      (loop $vectors
        (br_if $vectorsDone (i32.lt_u (local.get $n) (i32.const 4)))
        (local.set $px (v128.load (local.get $p)))
        (local.set $mx (f32x4.add (f32x4.mul (v128.load (local.get $m)) (local.get $mu))
          (f32x4.add (f32x4.mul (v128.load (local.get $g)) (local.get $scale)) (f32x4.mul (local.get $px) (local.get $decay)))))
        (v128.store (local.get $m) (local.get $mx))
        (v128.store (local.get $p) (f32x4.sub (local.get $px) (f32x4.mul (local.get $mx) (local.get $rate))))
        (local.set $p (i32.add (local.get $p) (i32.const 16)))
        (local.set $g (i32.add (local.get $g) (i32.const 16)))
        (local.set $m (i32.add (local.get $m) (i32.const 16)))
        (local.set $n (i32.sub (local.get $n) (i32.const 4)))
        (br $vectors)))
    (block $done
      (loop $tail
        (br_if $done (i32.eqz (local.get $n)))
        (local.set $px (v128.load32_zero (local.get $p)))
        (local.set $mx (f32x4.add (f32x4.mul (v128.load32_zero (local.get $m)) (local.get $mu))
          (f32x4.add (f32x4.mul (v128.load32_zero (local.get $g)) (local.get $scale)) (f32x4.mul (local.get $px) (local.get $decay)))))
        (v128.store32_lane 0 (local.get $m) (local.get $mx))
        (v128.store32_lane 0 (local.get $p) (f32x4.sub (local.get $px) (f32x4.mul (local.get $mx) (local.get $rate))))
        (local.set $p (i32.add (local.get $p) (i32.const 4)))
        (local.set $g (i32.add (local.get $g) (i32.const 4)))
        (local.set $m (i32.add (local.get $m) (i32.const 4)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $tail))))

  ;; The sum of x^2 in float64: the square of a float32 is exact there, and the sum of 10^8 of them keeps about nine digits.
  (func (export "sumSquares") (param $x i32) (param $n i32) (result f64)
    (local $low v128) (local $high v128) (local $xs v128) (local $pair v128) (local $last f64) (local $total f64)
    (block $vectorsDone
      (loop $vectors
        (br_if $vectorsDone (i32.lt_u (local.get $n) (i32.const 4)))
        (local.set $xs (v128.load (local.get $x)))
        (local.set $pair (f64x2.promote_low_f32x4 (local.get $xs)))
        (local.set $low (f64x2.add (local.get $low) (f64x2.mul (local.get $pair) (local.get $pair))))
        (local.set $pair (f64x2.promote_low_f32x4
          (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $xs) (local.get $xs))))
        (local.set $high (f64x2.add (local.get $high) (f64x2.mul (local.get $pair) (local.get $pair))))
        (local.set $x (i32.add (local.get $x) (i32.const 16)))
        (local.set $n (i32.sub (local.get $n) (i32.const 4)))
        (br $vectors)))
    (local.set $low (f64x2.add (local.get $low) (local.get $high)))
    (local.set $total (f64.add (f64x2.extract_lane 0 (local.get $low)) (f64x2.extract_lane 1 (local.get $low))))
    (block $done
      (loop $tail
        (br_if $done (i32.eqz (local.get $n)))
        (local.set $last (f64.promote_f32 (f32.load (local.get $x))))
        (local.set $total (f64.add (local.get $total) (f64.mul (local.get $last) (local.get $last))))
        (local.set $x (i32.add (local.get $x) (i32.const 4)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $tail)))
    (local.get $total))

  ;; y = y + a x
  (func (export "axpy") (param $y i32) (param $x i32) (param $n i32) (param $a f64)
    (local $as v128)
    (local.set $as (f32x4.splat (f32.demote_f64 (local.get $a))))
    (block $vectorsDone
      (loop $vectors
        (br_if $vectorsDone (i32.lt_u (local.get $n) (i32.const 4)))
        (v128.store (local.get $y) (f32x4.add (v128.load (local.get $y)) (f32x4.mul (v128.load (local.get $x)) (local.get $as))))
        (local.set $y (i32.add (local.get $y) (i32.const 16)))
        (local.set $x (i32.add (local.get $x) (i32.const 16)))
        (local.set $n (i32.sub (local.get $n) (i32.const 4)))
        (br $vectors)))
    (block $done
      (loop $tail
        (br_if $done (i32.eqz (local.get $n)))
        (v128.store32_lane 0 (local.get $y)
          (f32x4.add (v128.load32_zero (local.get $y)) (f32x4.mul (v128.load32_zero (local.get $x)) (local.get $as))))
        (local.set $y (i32.add (local.get $y) (i32.const 4)))
        (local.set $x (i32.add (local.get $x) (i32.const 4)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $tail))))

  ;; ema = decay ema + (1 - decay) p
  (func (export "lerp") (param $ema i32) (param $p i32) (param $n i32) (param $decay f64)
    (local $old v128) (local $new v128)
    (local.set $old (f32x4.splat (f32.demote_f64 (local.get $decay))))
    (local.set $new (f32x4.splat (f32.demote_f64 (f64.sub (f64.const 1) (local.get $decay)))))
    (block $vectorsDone
      (loop $vectors
        (br_if $vectorsDone (i32.lt_u (local.get $n) (i32.const 4)))
        (v128.store (local.get $ema)
          (f32x4.add (f32x4.mul (v128.load (local.get $ema)) (local.get $old)) (f32x4.mul (v128.load (local.get $p)) (local.get $new))))
        (local.set $ema (i32.add (local.get $ema) (i32.const 16)))
        (local.set $p (i32.add (local.get $p) (i32.const 16)))
        (local.set $n (i32.sub (local.get $n) (i32.const 4)))
        (br $vectors)))
    (block $done
      (loop $tail
        (br_if $done (i32.eqz (local.get $n)))
        (v128.store32_lane 0 (local.get $ema)
          (f32x4.add (f32x4.mul (v128.load32_zero (local.get $ema)) (local.get $old))
                     (f32x4.mul (v128.load32_zero (local.get $p)) (local.get $new))))
        (local.set $ema (i32.add (local.get $ema) (i32.const 4)))
        (local.set $p (i32.add (local.get $p) (i32.const 4)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $tail))))

  ;; x = a x
  (func (export "scale") (param $x i32) (param $n i32) (param $a f64)
    (local $as v128)
    (local.set $as (f32x4.splat (f32.demote_f64 (local.get $a))))
    (block $vectorsDone
      (loop $vectors
        (br_if $vectorsDone (i32.lt_u (local.get $n) (i32.const 4)))
        (v128.store (local.get $x) (f32x4.mul (v128.load (local.get $x)) (local.get $as)))
        (local.set $x (i32.add (local.get $x) (i32.const 16)))
        (local.set $n (i32.sub (local.get $n) (i32.const 4)))
        (br $vectors)))
    (block $done
      (loop $tail
        (br_if $done (i32.eqz (local.get $n)))
        (v128.store32_lane 0 (local.get $x) (f32x4.mul (v128.load32_zero (local.get $x)) (local.get $as)))
        (local.set $x (i32.add (local.get $x) (i32.const 4)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $tail))))

  ;; x = a
  (func (export "fill") (param $x i32) (param $n i32) (param $a f64)
    (local $as v128)
    (local.set $as (f32x4.splat (f32.demote_f64 (local.get $a))))
    (block $vectorsDone
      (loop $vectors
        (br_if $vectorsDone (i32.lt_u (local.get $n) (i32.const 4)))
        (v128.store (local.get $x) (local.get $as))
        (local.set $x (i32.add (local.get $x) (i32.const 16)))
        (local.set $n (i32.sub (local.get $n) (i32.const 4)))
        (br $vectors)))
    (block $done
      (loop $tail
        (br_if $done (i32.eqz (local.get $n)))
        (v128.store32_lane 0 (local.get $x) (local.get $as))
        (local.set $x (i32.add (local.get $x) (i32.const 4)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $tail))))
)
